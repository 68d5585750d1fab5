import { Schema } from "effect"
import { AgentId } from "./Ids.ts"

/** The tool needs a person's approval, and nobody has given it yet: the call did not run (ERR-10, GAT-04). */
export class ApprovalPending extends Schema.TaggedError<ApprovalPending>()(
  "ApprovalPending",
  {
    agentId: AgentId,
    tool: Schema.String,
    /** The request that a person can decide; null while no request was made. */
    requestId: Schema.NullOr(Schema.String)
  },
  { httpApiStatus: 403 }
) {
  override get message() {
    return `${this.tool} by agent ${this.agentId} waits for the approval of a person`
  }
  get recoveryHint() {
    return `Take "${this.tool}" out of the gate policy of ${this.agentId}, or let a person approve the call.`
  }
}
