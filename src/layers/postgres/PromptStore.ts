import { DateTime, Effect, Layer } from "effect"
import { OperatorId } from "../../schema/Ids.ts"
import { PromptName, PromptVersion } from "../../schema/Prompt.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { type ActivationResult, PromptStore } from "../../services/PromptStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** Prompts in tables that only grow; each act is one function that holds the row of the prompt's name. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("PromptStore")

  return PromptStore.of({
    register: ({ by, content, name, version }) =>
      Effect.map(
        ask("register", `SELECT ${prefix}governance_register_prompt($1, $2, $3, $4)`, [name, version, content, by]),
        ([row]) => row?.[0] === true
      ),
    activate: ({ by, name, version }) =>
      Effect.flatMap(
        ask(
          "activate",
          `SELECT r_outcome, r_seq, r_at, r_previous FROM ${prefix}governance_activate_prompt($1, $2, $3)`,
          [name, version, by]
        ),
        ([row]) => resultOf("activate", { name, version, by }, row ?? [])
      ),
    rollback: ({ by, name }) =>
      Effect.flatMap(
        ask(
          "rollback",
          `SELECT r_outcome, r_seq, r_at, r_previous, r_version FROM ${prefix}governance_roll_back_prompt($1, $2)`,
          [name, by]
        ),
        ([row = []]) => resultOf("rollback", { name, version: versionOf(row[4]), by }, row)
      ),
    list: Effect.suspend(() =>
      Effect.map(ask("list", list(prefix)), (rows) =>
        rows.map(([name, versions, active]) => ({
          name: PromptName.make(String(name)),
          versions: Number(versions),
          active: versionOf(active)
        }))
      )
    ),
    history: Effect.fnUntraced(function* (name) {
      const versions = yield* ask("history", versionsOf(prefix), [name])
      const activations = yield* ask("history", activationsOf(prefix), [name])
      return {
        versions: versions.map(([version, by, at]) => ({ name, version: knownVersion(version), ...actOf(by, at) })),
        activations: activations.map(([version, by, at, seq]) => ({
          name,
          version: knownVersion(version),
          seq: Number(seq),
          ...actOf(by, at)
        }))
      }
    }),
    content: (name, version) =>
      Effect.map(
        version === null
          ? ask("content", activeContent(prefix), [name])
          : ask("content", contentOf(prefix), [name, version]),
        ([row]) => (row === undefined ? null : { version: knownVersion(row[0]), content: String(row[1]) })
      )
  })
})

export const layer = Layer.effect(PromptStore, make)

const list = (prefix: string) => `SELECT p.name, count(v.version), max(a.version)
  FROM ${prefix}governance_prompts p
  JOIN ${prefix}governance_prompt_versions v ON v.name = p.name
  LEFT JOIN ${prefix}governance_prompt_activations a ON a.name = p.name AND a.seq = p.active
 GROUP BY p.name ORDER BY p.name`
const versionsOf = (prefix: string) =>
  `SELECT version, registered_by, registered_at FROM ${prefix}governance_prompt_versions WHERE name = $1 ORDER BY seq`
const activationsOf = (prefix: string) =>
  `SELECT version, activated_by, activated_at, seq FROM ${prefix}governance_prompt_activations WHERE name = $1 ORDER BY seq`
const contentOf = (prefix: string) =>
  `SELECT version, content FROM ${prefix}governance_prompt_versions WHERE name = $1 AND version = $2`
const activeContent = (prefix: string) => `SELECT v.version, v.content FROM ${prefix}governance_prompts p
  JOIN ${prefix}governance_prompt_activations a ON a.name = p.name AND a.seq = p.active
  JOIN ${prefix}governance_prompt_versions v ON v.name = a.name AND v.version = a.version WHERE p.name = $1`

const knownVersion = (value: unknown) => PromptVersion.make(String(value))
const versionOf = (value: unknown) => (typeof value === "string" ? knownVersion(value) : null)

const actOf = (by: unknown, at: unknown) => ({
  by: OperatorId.make(String(by)),
  at: DateTime.toUtc(DateTime.makeUnsafe(at instanceof Date ? at : 0))
})

const resultOf = (
  operation: string,
  act: { readonly name: PromptName; readonly version: PromptVersion | null; readonly by: OperatorId },
  [outcome, seq, at, previous]: ReadonlyArray<unknown>
): Effect.Effect<ActivationResult, StoreError> => {
  const { by, name, version } = act
  if (outcome === "Unknown" || outcome === "NothingEarlier") return Effect.succeed({ _tag: outcome })
  if (version !== null && outcome === "Unchanged") return Effect.succeed({ _tag: outcome, version })
  if (version !== null && outcome === "Activated") {
    const activation = { name, version, seq: Number(seq), ...actOf(by, at) }
    return Effect.succeed({ _tag: outcome, activation, previous: versionOf(previous) })
  }
  return Effect.fail(new StoreError({ store: "PromptStore", operation, problem: "integrity" }))
}
