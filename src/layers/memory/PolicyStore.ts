/** Policies of the memory state. Caps and loop limits are decoded once, when a row is written: admission only compares. */
import { Effect, Layer, Option, Schema } from "effect"
import { limitsOf } from "../../schema/Counters.ts"
import type { AgentId } from "../../schema/Ids.ts"
import { type PolicyKind, policySchemas, type StoredPolicy } from "../../schema/Policy.ts"
import { PolicyStore } from "../../services/PolicyStore.ts"
import { type AgentPolicyState, MemoryState, policiesOf, refuse } from "./MemoryState.ts"

export const make = Effect.map(MemoryState, (state) =>
  PolicyStore.of({
    all: Effect.sync(() => [...state.policies.values()].flatMap(({ stored }) => [...stored.values()])),

    put: ({ agentId, body, kind, source }) =>
      Effect.suspend(() => {
        const json = decodeJson(body)
        if (Option.isNone(json)) return refuse("policies", "put", "refused", "the body is no JSON")
        const its = policiesOf(state, agentId)
        const current = its.stored.get(kind)
        if (current?.source === "operator" && source === "code") return Effect.succeed(current)
        if (current !== undefined && current.source === source && sameJson(current.body, json.value))
          return Effect.succeed(current)
        if (!apply(its, kind, json.value)) return refuse("policies", "put", "refused", `the body is no ${kind} policy`)
        return Effect.succeed(write(its, { agentId, kind, body: json.value, source }))
      }),

    release: (agentId, kind) =>
      Effect.sync(() => {
        const its = state.policies.get(agentId)
        const current = its?.stored.get(kind)
        if (its === undefined || current?.source !== "operator") return false
        write(its, { ...current, source: "code" })
        return true
      }),

    remove: (agentId: AgentId, kind: PolicyKind) =>
      Effect.sync(() => {
        const its = state.policies.get(agentId)
        if (its === undefined || !its.stored.delete(kind)) return false
        if (kind === "budget") its.limits = []
        if (kind === "loop") its.loop = null
        return true
      })
  })
)

export const layer: Layer.Layer<PolicyStore, never, MemoryState> = Layer.effect(PolicyStore, make)

const decodeJson = Schema.decodeUnknownOption(Schema.Json)
const decodeBudget = Schema.decodeUnknownOption(policySchemas.budget)
const decodeLoop = Schema.decodeUnknownOption(policySchemas.loop)

const write = (its: AgentPolicyState, policy: Omit<StoredPolicy, "version">): StoredPolicy => {
  const version = (its.versions.get(policy.kind) ?? 0) + 1
  const row: StoredPolicy = { ...policy, version }
  its.versions.set(policy.kind, version)
  its.stored.set(policy.kind, row)
  return row
}

/** Makes what admission reads; false when the body cannot be understood, so that a cap never silently means none. */
const apply = (its: AgentPolicyState, kind: PolicyKind, body: unknown): boolean => {
  switch (kind) {
    case "budget": {
      const policy = decodeBudget(body)
      if (Option.isNone(policy)) return false
      its.limits = limitsOf(policy.value)
      return true
    }
    case "loop": {
      const policy = decodeLoop(body)
      if (Option.isNone(policy)) return false
      its.loop = policy.value
      return true
    }
    default:
      return true
  }
}

/** Equal as JSON: the order of keys says nothing, as in `jsonb`. */
const sameJson = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const left = Object.entries(a)
  const right = new Map(Object.entries(b))
  return left.length === right.size && left.every(([key, value]) => right.has(key) && sameJson(value, right.get(key)))
}
