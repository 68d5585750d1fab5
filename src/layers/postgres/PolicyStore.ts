import { Effect, Layer, Option, Schema } from "effect"
import { AgentId } from "../../schema/Ids.ts"
import { PolicyKind, PolicySource, policySchemas, type StoredPolicy } from "../../schema/Policy.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { PolicyStore } from "../../services/PolicyStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** All policies, one row per agent and kind. What admission needs of a body the database derives itself, when it is written. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("PolicyStore")
  const truth = (operation: string, name: string) => (agentId: AgentId, kind: PolicyKind) =>
    Effect.map(ask(operation, `SELECT ${prefix}${name}($1, $2)`, [agentId, kind]), ([row]) => row?.[0] === true)

  return PolicyStore.of({
    all: Effect.suspend(() =>
      Effect.map(
        ask(
          "all",
          `SELECT agent, kind, body, source, version FROM ${prefix}governance_policies WHERE body IS NOT NULL`
        ),
        (rows) => rows.map(([agent, kind, body, source, version]) => storedOf(agent, kind, body, source, version))
      )
    ),

    put: Effect.fnUntraced(function* ({ agentId, body, kind, source }) {
      const text = Option.flatMap(decodeJson(body), (json) =>
        isUnderstood(kind, json) ? Option.some(JSON.stringify(json)) : Option.none()
      )
      if (Option.isNone(text))
        return yield* new StoreError({ store: "PolicyStore", operation: "put", problem: "refused" })
      const [row] = yield* ask(
        "put",
        `SELECT r_body, r_source, r_version FROM ${prefix}governance_put_policy($1, $2, $3::jsonb, $4)`,
        [agentId, kind, text.value, source]
      )
      return storedOf(agentId, kind, row?.[0], row?.[1], row?.[2])
    }),

    release: truth("release", "governance_release_policy"),
    remove: truth("remove", "governance_remove_policy")
  })
})

export const layer = Layer.effect(PolicyStore, make)

const decodeJson = Schema.decodeUnknownOption(Schema.Json)
const decodeBudget = Schema.decodeUnknownOption(policySchemas.budget)
const decodeLoop = Schema.decodeUnknownOption(policySchemas.loop)

/** Caps and loop limits are refused here already when nobody could read them: a cap must never silently mean none. */
const isUnderstood = (kind: PolicyKind, body: unknown): boolean =>
  kind === "budget" ? Option.isSome(decodeBudget(body)) : kind === "loop" ? Option.isSome(decodeLoop(body)) : true

const decodeStored = Schema.decodeUnknownSync(
  Schema.Struct({ agentId: AgentId, kind: PolicyKind, body: Schema.Json, source: PolicySource, version: Schema.Int })
)

const storedOf = (agentId: unknown, kind: unknown, body: unknown, source: unknown, version: unknown): StoredPolicy =>
  decodeStored({ agentId, kind, body, source, version: Number(version) })
