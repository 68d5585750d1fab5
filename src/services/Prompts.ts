import { Context, Duration, Effect, Layer, Option } from "effect"
import { Hex } from "effect/encoding"
import { OperatorId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { JsonObject } from "../schema/Json.ts"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import {
  type ActivatedNow,
  maxPromptBytes,
  type Prompt,
  type PromptActivation,
  type PromptChange,
  type PromptHistory,
  PromptName,
  PromptNotFound,
  type PromptSummary,
  PromptVersion,
  promptContent,
  promptText,
  promptVersion,
  type RegisteredNow
} from "../schema/Prompt.ts"
import { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { askedOf } from "./Deadline.ts"
import { lineDiff } from "./LineDiff.ts"
import * as OperatorRow from "./OperatorRow.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { type ActivationResult, PromptStore } from "./PromptStore.ts"
import { Settings } from "./Settings.ts"
import { StoreTransaction } from "./StoreTransaction.ts"

/**
 * Versions of prompt templates, named by the hash of their text, with one active version a name (PRM-01, V8-10). What a call
 * was made with goes into its audit row: `governed({ ..., prompt: yield* prompts.use("triage") })`.
 */
export class Prompts extends Context.Service<
  Prompts,
  {
    /** Keeps a text as a version; the same text is the same version again. Activates nothing. At most 256 KiB. */
    readonly register: (
      name: string,
      text: string,
      act: { readonly by: string }
    ) => Effect.Effect<RegisteredNow, InvalidInput | PromptError>
    readonly activate: (
      name: string,
      version: string,
      act: { readonly by: string }
    ) => Effect.Effect<ActivatedNow, InvalidInput | PromptNotFound | PromptError>
    /** Back to what was active before; again, and it is what was active before that. */
    readonly rollback: (
      name: string,
      act: { readonly by: string }
    ) => Effect.Effect<PromptActivation, InvalidInput | PromptNotFound | PromptError>
    readonly list: Effect.Effect<ReadonlyArray<PromptSummary>, PromptError>
    readonly history: (name: string) => Effect.Effect<PromptHistory, InvalidInput | PromptNotFound | PromptError>
    /** What changed from one version to another, line by line. */
    readonly diff: (
      name: string,
      from: string,
      to: string
    ) => Effect.Effect<ReadonlyArray<PromptChange>, InvalidInput | PromptNotFound | PromptError>
    readonly get: (name: string, version: string) => Effect.Effect<Prompt, InvalidInput | PromptNotFound | PromptError>
    /** The active version. When the store is silent, the one this process last saw, with a warning (INV-1). */
    readonly use: (name: string) => Effect.Effect<Prompt, InvalidInput | PromptNotFound | PromptError>
  }
>()("effect-governance/services/Prompts") {}

export type PromptError = StoreError | ModuleDisabledError

export const make = Effect.gen(function* () {
  const store = yield* PromptStore
  const transaction = yield* StoreTransaction
  const record = yield* OperatorRow.make
  const settings = yield* Settings
  const { hash } = yield* ChainKeys
  const hashHex = (text: string) => Hex.encode(hash(text))
  const asked = askedOf("PromptStore", settings.enforcementDeadline)
  const acted = askedOf("PromptStore", Duration.times(settings.enforcementDeadline, 5))
  const seen = new Map<PromptName, Prompt>()

  /** A change and its row in chain `operator`, both or neither; no facts, no row. */
  const act = <A>(
    operation: string,
    change: Effect.Effect<A, StoreError>,
    row: (result: A) => { readonly kind: string; readonly facts: JsonObject } | undefined
  ) =>
    acted(
      operation,
      transaction.run(
        Effect.tap(change, (result) => {
          const made = row(result)
          return made === undefined ? Effect.void : record(made.kind, made.facts)
        })
      )
    )

  /** A stored text must have the hash that is its name; one that has not is nobody's prompt. */
  const read = Effect.fnUntraced(function* (name: PromptName, version: PromptVersion | null) {
    const found = yield* asked("content", store.content(name, version))
    if (found === null) {
      return yield* new PromptNotFound({ prompt: name, version, problem: version === null ? "not_active" : "unknown" })
    }
    const text = promptText(found.content)
    if (Option.isNone(text) || promptVersion(found.content, hashHex) !== found.version) {
      return yield* new StoreError({ store: "PromptStore", operation: "content", problem: "integrity" })
    }
    return { name, version: found.version, text: text.value } satisfies Prompt
  })

  const get = Effect.fn("Prompts.get")(function* (id: string, version: string) {
    return yield* read(yield* decodeName(id), yield* decodeVersion(version))
  })

  const remember = (prompt: Prompt) => {
    if (seen.size >= maxRemembered) seen.clear()
    seen.set(prompt.name, prompt)
  }

  return Prompts.of({
    register: Effect.fn("Prompts.register")(function* (id, text, { by }) {
      const name = yield* decodeName(id)
      const operator = yield* decodeArgument(OperatorId, "by", by)
      const content = promptContent(yield* decodeText(text))
      const version = promptVersion(content, hashHex)
      const created = yield* act("register", store.register({ name, version, content, by: operator }), (isNew) =>
        isNew ? { kind: "prompt.registered", facts: { by: operator, name, version } } : undefined
      )
      return { name, version, created }
    }),
    activate: Effect.fn("Prompts.activate")(function* (id, given, { by }) {
      const name = yield* decodeName(id)
      const version = yield* decodeVersion(given)
      const operator = yield* decodeArgument(OperatorId, "by", by)
      const result = yield* act("activate", store.activate({ name, version, by: operator }), activatedBy("activate"))
      if (result._tag === "Activated") return { name, version, changed: true, previous: result.previous }
      if (result._tag === "Unchanged") return { name, version, changed: false, previous: version }
      return yield* new PromptNotFound({ prompt: name, version, problem: "unknown" })
    }),
    rollback: Effect.fn("Prompts.rollback")(function* (id, { by }) {
      const name = yield* decodeName(id)
      const operator = yield* decodeArgument(OperatorId, "by", by)
      const result = yield* act("rollback", store.rollback({ name, by: operator }), activatedBy("rollback"))
      if (result._tag === "Activated") return result.activation
      const problem = result._tag === "NothingEarlier" ? "nothing_earlier" : "unknown"
      return yield* new PromptNotFound({ prompt: name, version: null, problem })
    }),
    list: Effect.withSpan(asked("list", store.list), "Prompts.list"),
    history: Effect.fn("Prompts.history")(function* (id) {
      const name = yield* decodeName(id)
      const history = yield* asked("history", store.history(name))
      if (history.versions.length > 0) return history
      return yield* new PromptNotFound({ prompt: name, version: null, problem: "unknown" })
    }),
    diff: Effect.fn("Prompts.diff")(function* (id, from, to) {
      const before = yield* get(id, from)
      const after = yield* get(id, to)
      return lineDiff(before.text, after.text)
    }),
    get,
    use: Effect.fn("Prompts.use")(function* (id) {
      const name = yield* decodeName(id)
      return yield* read(name, null).pipe(
        Effect.tap((prompt) => Effect.sync(() => remember(prompt))),
        Effect.catchTag("StoreError", (error) => {
          const last = seen.get(name)
          // A store that contradicts itself has answered, and not in favour of what it said before.
          if (last === undefined || error.problem === "integrity") return Effect.fail(error)
          return Effect.as(
            Effect.logWarning("prompt.last_known", { prompt: name, version: last.version, problem: error.problem }),
            last
          )
        })
      )
    })
  })
})

export const layer = Layer.effect(Prompts, make).pipe(Layer.provide(PooledRandom.layer))

const off = new ModuleDisabledError({ module: "prompts" })
const disabled = Effect.fail(off)

/** Every call fails (ENT-05). Nothing is enforced here, so nothing is warned at start. */
export const layerOff = Layer.succeed(
  Prompts,
  Prompts.of({
    register: () => disabled,
    activate: () => disabled,
    rollback: () => disabled,
    list: disabled,
    history: () => disabled,
    diff: () => disabled,
    get: () => disabled,
    use: () => disabled
  })
)

const activatedBy = (how: "activate" | "rollback") => (result: ActivationResult) => {
  if (result._tag !== "Activated") return undefined
  const { activation, previous } = result
  const { by, name, version } = activation
  return { kind: "prompt.activated", facts: { by, how, name, previous, version } }
}

const maxRemembered = 1000

const decodeName = (value: string) => decodeArgument(PromptName, "name", value)

const decodeVersion = (value: string) =>
  Effect.mapError(
    decodeArgument(PromptVersion, "version", value),
    () => new InvalidInput({ field: "version", problem: "must be the 64 hex digits of a version" })
  )

const utf8 = new TextEncoder()
const decodeText = (text: string): Effect.Effect<string, InvalidInput> =>
  typeof text !== "string" || text === "" || text.length > maxPromptBytes || utf8.encode(text).length > maxPromptBytes
    ? Effect.fail(new InvalidInput({ field: "text", problem: `must be text of 1 to ${maxPromptBytes} bytes` }))
    : Effect.succeed(text)
