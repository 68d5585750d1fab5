import { assert } from "@effect/vitest"
import { Context, type Duration, Effect, Layer, Logger, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Governance from "../../src/layers/Governance.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { NanoUsd } from "../../src/schema/Money.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { CostStore } from "../../src/services/CostStore.ts"
import { GateStore } from "../../src/services/GateStore.ts"
import { LoopStore } from "../../src/services/LoopStore.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import * as Pricing from "../../src/services/Pricing.ts"
import { PromptStore } from "../../src/services/PromptStore.ts"
import * as Settings from "../../src/services/Settings.ts"
import { Signal } from "../../src/services/Signal.ts"
import { StoreTransaction } from "../../src/services/StoreTransaction.ts"

export const cent = 10_000_000n
export const usd = (amount: bigint) => NanoUsd.make(amount)

/** The real services over the real memory stores. */
export const memory = (options: Settings.GovernanceOptions = {}) =>
  Memory.layer({ warnOnNoWrappers: false, ...options })

export type StoreName =
  | "admission"
  | "cost"
  | "gates"
  | "loop"
  | "policies"
  | "presence"
  | "prompts"
  | "audit"
  | "transaction"

/** The line between the services and the real stores: `down` fails at once, `hanging` never answers. */
export interface Line {
  state: "up" | "down" | "hanging"
  /** Only these stores are cut off; all when absent. */
  only?: ReadonlyArray<StoreName>
  /** Every call that went over it, by `store.method`. */
  readonly asked: Map<string, number>
  /** Runs between the store's answer and the caller that waits for it. */
  after?: (name: string) => Effect.Effect<void>
}

export const newLine = (state: Line["state"] = "up"): Line => ({ state, asked: new Map() })

const over = <S extends object>(line: Line, store: StoreName, service: S, drop: ReadonlyArray<string> = []): S => {
  const isCut = () => line.only === undefined || line.only.includes(store)
  const gate = (method: string, self: Effect.Effect<unknown, unknown, unknown>) =>
    Effect.suspend(() => {
      const name = `${store}.${method}`
      line.asked.set(name, (line.asked.get(name) ?? 0) + 1)
      if (isCut() && line.state === "down") {
        return Effect.fail(new StoreError({ store, operation: method, problem: "unreachable" }))
      }
      if (isCut() && line.state === "hanging") return Effect.never
      return line.after === undefined ? self : Effect.tap(self, () => line.after?.(name) ?? Effect.void)
    })
  const wrapped = Object.entries(service)
    .filter(([key]) => !drop.includes(key))
    .map(([key, value]) => [
      key,
      Effect.isEffect(value)
        ? gate(key, value)
        : typeof value === "function"
          ? (...args: ReadonlyArray<unknown>) => {
              const result = value(...args)
              return Effect.isEffect(result) ? gate(key, result) : result
            }
          : value
    ])
  return Object.fromEntries(wrapped)
}

const layerLine = (line: Line) =>
  Layer.effectContext(
    Effect.gen(function* () {
      return Context.make(AdmissionStore, over(line, "admission", yield* AdmissionStore, ["now"])).pipe(
        Context.add(CostStore, over(line, "cost", yield* CostStore)),
        Context.add(GateStore, over(line, "gates", yield* GateStore)),
        Context.add(LoopStore, over(line, "loop", yield* LoopStore)),
        Context.add(PolicyStore, over(line, "policies", yield* PolicyStore)),
        Context.add(PresenceStore, over(line, "presence", yield* PresenceStore)),
        Context.add(PromptStore, over(line, "prompts", yield* PromptStore)),
        Context.add(AuditStore, over(line, "audit", yield* AuditStore, ["appendSync"])),
        Context.add(StoreTransaction, over(line, "transaction", yield* StoreTransaction))
      )
    })
  )

/** All of governance on memory stores behind a line that can be cut; `signal: "silent"` never tells anybody anything. */
export const lined = (line: Line, options: Settings.GovernanceOptions & { readonly signal?: "silent" } = {}) => {
  const { signal, ...settings } = options
  const silent = signal === "silent" ? silentSignal : Layer.empty
  return Governance.layer.pipe(
    Layer.provideMerge(Pricing.layerSettings()),
    Layer.provideMerge(silent),
    Layer.provideMerge(layerLine(line)),
    Layer.provideMerge(Memory.layerStores),
    Layer.provideMerge(Settings.layer({ warnOnNoWrappers: false, ...settings }))
  )
}

export const silentSignal = Layer.succeed(
  Signal,
  Signal.of({ changes: () => Stream.never, publish: () => Effect.void })
)

export interface Logged {
  readonly level: string
  readonly message: string
}

/** Every line that is logged, instead of the console. */
export const capture = () => {
  const lines: Array<Logged> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push({ level: logLevel, message: (Array.isArray(message) ? message : [message]).map(textOf).join(" ") })
  })
  const named = (name: string) => lines.filter(({ message }) => message.startsWith(name))
  return { lines, named, layer: Logger.layer([logger]) }
}
const textOf = (part: unknown) => (typeof part === "string" ? part : JSON.stringify(part))

/** The kinds of a session's rows, verified, in order. */
export const kinds = (session: string) =>
  Effect.map(
    Effect.flatMap(Audit, (audit) => audit.traceSessionChain(session)),
    (records) => records.map(({ kind }) => kind)
  )

/** Kinds of an agent's own chain. */
export const agentKinds = (agentId: string) =>
  Effect.map(
    Effect.flatMap(Audit, (audit) => audit.getEvents({ agentId: AgentId.make(agentId) })),
    (records) => records.map(({ kind }) => kind)
  )

/** Runs an effect, lets that much time pass at once, and wants it to be over then: a deadline without a wall clock. */
export const doneWithin =
  (duration: Duration.Input) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(self)
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      yield* TestClock.adjust(duration)
      for (let i = 0; i < 50 && fiber.pollUnsafe() === undefined; i++) yield* Effect.yieldNow
      const exit = fiber.pollUnsafe()
      if (exit === undefined) {
        fiber.interruptUnsafe()
        return yield* Effect.die(new Error(`not done within ${String(duration)}`))
      }
      return yield* exit
    })

/** At least these fields, with these values. */
export const has = (actual: object, expected: Record<string, unknown>) => {
  const facts: Record<string, unknown> = { ...actual }
  for (const [key, value] of Object.entries(expected)) assert.deepStrictEqual(facts[key], value, key)
}
