import { Result, Schema } from "effect"
import { Identifier } from "./Identifier.ts"
import { AgentId } from "./Ids.ts"
import { type JsonObject, snapshot } from "./Json.ts"

/** The checks that need no registration. Any other name, `custom` aside, is unknown and fails (CON-02). */
export const builtInChecks = {
  pre: ["hitl_approved", "budget_available", "scope_allowed"],
  post: ["audit_logged"]
} as const

const Params = Schema.Record(Schema.String, Schema.Json)

/** One condition: `check` says how it is judged, `message` what a person reads when it does not hold. */
const Condition = Schema.Struct({
  check: Identifier(256),
  message: Schema.String.check(Schema.isMaxLength(2000)),
  /** For `custom`: `name` is the registered check, the rest is handed to it. Plain JSON, at most 64 KiB. */
  params: Schema.optionalKey(Params)
})

export const PreCondition = Condition
export type PreCondition = typeof PreCondition.Type
export const PostCondition = Condition
export type PostCondition = typeof PostCondition.Type

const Conditions = Schema.Array(Condition).check(Schema.isMaxLength(20))

/** What must hold before and after an agent uses a tool (CON-01). It binds the agents that this one delegates to as well. */
export const Contract = Schema.Struct({
  agentId: AgentId,
  /** The exact name of the tool. */
  tool: Identifier(512),
  pre: Schema.optionalKey(Conditions),
  post: Schema.optionalKey(Conditions)
})
export type Contract = typeof Contract.Type
export type ContractInput = typeof Contract.Encoded

/** A frozen copy, so that a contract is what it was when it was registered. */
export const contractOf = (input: unknown): Result.Result<Contract, string> =>
  Result.flatMap(
    Result.mapError(snapshot(input), (error) => error.message),
    (copy) => Result.mapBoth(decode(copy), { onSuccess: frozen, onFailure: (error) => error.message })
  )

const decode = Schema.decodeUnknownResult(Contract, { onExcessProperty: "error" })

const frozen = ({ agentId, post = [], pre = [], tool }: Contract): Contract =>
  Object.freeze({ agentId, tool, pre: all(pre), post: all(post) })
const all = (conditions: ReadonlyArray<PreCondition>) =>
  Object.freeze(
    conditions.map(({ check, message, params = {} }) =>
      Object.freeze({ check, message, params: Object.freeze(params) })
    )
  )

export type ContractPhase = "pre" | "post"

/** What a custom check may look at. Of a post-condition it also sees what the call returned. */
export interface CheckedCall {
  readonly agentId: AgentId
  /** The agent whose contract it is: the caller, or one above it. */
  readonly contractOf: AgentId
  readonly sessionId: string | null
  readonly tool: string
  readonly params: JsonObject
  /** What the call is made with, as its program gave it. */
  readonly input: unknown
  /** What the call returned; undefined before it, and where a scope or a stream has no one result. */
  readonly result: unknown
  /** SHA-256 of the canonical input or result in hex, as in the audit rows; null where it is no plain JSON. */
  readonly inputHash: string | null
  readonly resultHash: string | null
}

/**
 * A condition of a contract did not hold (ERR-07). Before the call: nothing ran. After it: the call has run and is charged,
 * and its result is withheld.
 */
export class ContractViolation extends Schema.TaggedError<ContractViolation>()(
  "ContractViolation",
  {
    agentId: AgentId,
    tool: Schema.String,
    phase: Schema.Literals(["pre", "post"]),
    check: Schema.String,
    /** The registered check behind `custom`. */
    custom: Schema.NullOr(Schema.String),
    /** What the contract says about it. */
    says: Schema.String,
    /** `unknown`: no such check. `threw`, `late`: the check itself failed. `unanswered`: the store did not answer it. */
    problem: Schema.Literals(["false", "unknown", "threw", "late", "unanswered"]),
    contractOf: AgentId
  },
  { httpApiStatus: 403 }
) {
  /** What an audit row says of it, beside agent and tool. */
  get facts() {
    const { check, contractOf, custom, problem, says } = this
    return { check, contractOf, custom, problem, says }
  }
  override get message() {
    const check = this.custom === null ? this.check : `${this.check} (${this.custom})`
    const whose = this.contractOf === this.agentId ? "" : `, in the contract of ${this.contractOf}`
    const when = this.phase === "pre" ? "before" : "after"
    return `${this.tool} by agent ${this.agentId} broke its contract ${when} the call: ${check}${whose}: ${this.says}`
  }
  get recoveryHint() {
    const condition = `${this.phase}-condition "${this.check}" of ${this.contractOf} for ${this.tool}`
    switch (this.problem) {
      case "false":
        return this.phase === "pre"
          ? `Meet the ${condition}, or register another contract. The call did not run.`
          : `The call has run and is charged: look at what it did before it is repeated. The ${condition} did not hold.`
      case "unknown":
        return `Register the check that the ${condition} names, with Contracts.registerCheck, or correct its name.`
      case "unanswered":
        return `The ${condition} could not be answered because a store was silent. Check the database.`
      default:
        return `Repair the check behind the ${condition}: it ${this.problem === "late" ? "did not answer in time" : "failed"}.`
    }
  }
}
