import { Effect, Schema } from "effect"
import { AgentId, SessionId } from "./Ids.ts"

/**
 * How often one tool may be called in one session within a sliding window (LOP-01). It fires when the count exceeds
 * `maxCalls` (DEC-20). `progress` adds detection of repeated identical calls and of ping-pong cycles (BEY-15).
 */
export const LoopPolicy = Schema.Struct({
  windowSeconds: Schema.Int.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(86_400)),
  maxCalls: Schema.Int.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1000)),
  action: Schema.Literals(["raise", "log"]).pipe(Schema.withDecodingDefaultKey(Effect.succeed("raise" as const))),
  progress: Schema.optionalKey(
    Schema.Struct({
      /** Identical calls (same tool, arguments and result) in a row that are still allowed. */
      maxRepeats: Schema.Int.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(31)),
      /** Full repetitions of a cycle of 2 to 4 different calls without new results that are still allowed. */
      maxCycles: Schema.Int.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(15)).pipe(
        Schema.withDecodingDefaultKey(Effect.succeed(3))
      ),
      /** Tools that poll by design, with their own number of identical calls in a row. */
      polling: Schema.Record(Schema.String, Schema.Int.check(Schema.isGreaterThan(0))).pipe(
        Schema.withDecodingDefaultKey(Effect.succeed({}))
      )
    })
  )
})
export type LoopPolicy = typeof LoopPolicy.Type
export type LoopPolicyInput = typeof LoopPolicy.Encoded

/** One earlier call of the session: a hash of tool and canonical arguments, and of its result once it is known. */
export interface LoopStep {
  readonly signature: string
  readonly resultHash: string | null
}

/** The agent repeats itself (ERR-06). `pattern` says how it was noticed. */
export class LoopDetected extends Schema.TaggedError<LoopDetected>()(
  "LoopDetected",
  {
    agentId: AgentId,
    sessionId: Schema.NullOr(SessionId),
    tool: Schema.String,
    pattern: Schema.Literals(["count", "repeat", "cycle"]),
    count: Schema.Int,
    limit: Schema.Int,
    /** Seconds; 0 for patterns that do not look at time. */
    windowSeconds: Schema.Int
  },
  { httpApiStatus: 429 }
) {
  override get message() {
    switch (this.pattern) {
      case "count":
        return `Agent ${this.agentId} called ${this.tool} ${this.count} times in ${this.windowSeconds} s; ${this.limit} are allowed`
      case "repeat":
        return `Agent ${this.agentId} repeats the same call of ${this.tool} with the same result: ${this.count} times in a row; ${this.limit} are allowed`
      case "cycle":
        return `Agent ${this.agentId} goes in a circle around ${this.tool}: ${this.count} rounds without a new result; ${this.limit} are allowed`
    }
  }
  get recoveryHint() {
    return "Let the agent change its approach or end the session; raise the limits of its loop policy if this is normal work."
  }
}
