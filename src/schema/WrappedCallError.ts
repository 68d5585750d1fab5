import { Schema } from "effect"
import { AgentId } from "./Ids.ts"

/** A governed client was asked for something whose cost nobody can bound before the call, so it was not sent (THR-05). */
export class UngovernedCall extends Schema.TaggedError<UngovernedCall>()(
  "UngovernedCall",
  { agentId: AgentId, provider: Schema.String, method: Schema.String, path: Schema.String },
  { httpApiStatus: 403 }
) {
  override get message() {
    return `${this.method} ${this.path.slice(0, 200)} of ${this.provider} is not governed, so agent ${this.agentId} may not use it through this client`
  }
  get recoveryHint() {
    return `Use a governed call, or pass allow: ["${this.method} ${this.path.slice(0, 200)}"] where it may run without budget and record.`
  }
}

/** The model answered with more than the call had declared and held, so its stream was cut (BEY-07). */
export class DeclaredMaximumExceeded extends Schema.TaggedError<DeclaredMaximumExceeded>()(
  "DeclaredMaximumExceeded",
  { agentId: AgentId, model: Schema.String, maxTokens: Schema.Int },
  { httpApiStatus: 502 }
) {
  override get message() {
    return `Model ${this.model} answered agent ${this.agentId} with more than the ${this.maxTokens} tokens that the call declared`
  }
  get recoveryHint() {
    return "Declare a higher maximum, or ask the provider why it does not keep to the declared one."
  }
}
