import { Schema } from "effect"
import { ScopePolicy } from "./AgentScope.ts"
import { BudgetPolicy } from "./Cost.ts"
import { AgentId } from "./Ids.ts"
import { LoopPolicy } from "./Loop.ts"
import { RoutingPolicy } from "./Routing.ts"

/** Which tools wait for a person, and how strictly decisions are recorded (DEC-06). */
export const GatePolicy = Schema.Struct({
  /** Names or prefixes of tools that need approval before they run. */
  requireApproval: Schema.Array(Schema.NonEmptyString),
  /** Who may decide, by exact id; absent means anyone but the agent's operator (V8-06). */
  reviewers: Schema.optionalKey(Schema.Array(Schema.NonEmptyString).check(Schema.isMaxLength(1000))),
  /** How many different people must grant a request; default 1. */
  quorum: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 }))),
  /** Seconds until a request, and a grant that nobody used, ends; default 600 (OQ-22). */
  expiresAfter: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2_592_000 }))),
  /** `local`: only decisions made on this database count (DEC-19). */
  approvals: Schema.optionalKey(Schema.Literals(["local", "platform"]))
})
export type GatePolicy = typeof GatePolicy.Type

/** `required`: an admission is refused unless its attempt is in the database; `bestEffort` is the default (DEC-06). */
export const AuditPolicy = Schema.Struct({ mode: Schema.Literals(["required", "bestEffort"]) })
export type AuditPolicy = typeof AuditPolicy.Type

/** Everything that can be said about one agent, by concern. Each concern is stored, versioned and replaced on its own. */
export const policySchemas = {
  scope: ScopePolicy,
  budget: BudgetPolicy,
  loop: LoopPolicy,
  gate: GatePolicy,
  audit: AuditPolicy,
  routing: RoutingPolicy
} as const

export type PolicyKind = keyof typeof policySchemas
export const PolicyKind = Schema.Literals(["scope", "budget", "loop", "gate", "audit", "routing"])
export const policyKinds: ReadonlyArray<PolicyKind> = PolicyKind.literals

export type PolicyOf<K extends PolicyKind> = (typeof policySchemas)[K]["Type"]
/** A policy as users write it: dollars as numbers or text, defaults left out. */
export type PolicyInput<K extends PolicyKind> = (typeof policySchemas)[K]["Encoded"]

/** The same schemas, seen through their kind: what generic code decodes and encodes with. */
export const policyCodecs: { readonly [K in PolicyKind]: Schema.Codec<PolicyOf<K>, PolicyInput<K>> } = policySchemas

/** `code`: a process registered it; `operator`: a person applied it, and it wins until released (DEC-21). */
export const PolicySource = Schema.Literals(["code", "operator"])
export type PolicySource = typeof PolicySource.Type

/** A policy as stored: `body` is the encoded form (dollars as decimal text, sets as arrays). */
export const StoredPolicy = Schema.Struct({
  agentId: AgentId,
  kind: PolicyKind,
  body: Schema.Json,
  source: PolicySource,
  /** Grows by one at every change of this row, whoever made it. */
  version: Schema.Int
})
export type StoredPolicy = typeof StoredPolicy.Type

/** The policies of one agent as a file or `policy show` holds them. */
export const AgentPolicies = Schema.Struct({
  scope: Schema.optionalKey(ScopePolicy),
  budget: Schema.optionalKey(BudgetPolicy),
  loop: Schema.optionalKey(LoopPolicy),
  gate: Schema.optionalKey(GatePolicy),
  audit: Schema.optionalKey(AuditPolicy),
  routing: Schema.optionalKey(RoutingPolicy)
})
export type AgentPolicies = typeof AgentPolicies.Type

/** A policy file: agent id to policies. `*` in a replay policy stands for every agent of the recording. */
export const PolicyFile = Schema.Struct({
  $schema: Schema.optionalKey(Schema.String),
  agents: Schema.Record(Schema.String, AgentPolicies)
})
export type PolicyFile = typeof PolicyFile.Type
