import { Schema } from "effect"

/** The object was closed, or is being closed, and takes no more calls (ENT-12). Nothing of this call has run, or it was stopped. */
export class GovernanceClosed extends Schema.TaggedError<GovernanceClosed>()(
  "GovernanceClosed",
  {
    /** `running`: the call had begun, and did not end within the time that closing waits. */
    problem: Schema.Literals(["closed", "running"])
  },
  { httpApiStatus: 503 }
) {
  override get message() {
    return this.problem === "closed"
      ? "Governance is closed, so the call was not made"
      : "Governance was closed while the call ran, and did not wait for it any longer"
  }
  get recoveryHint() {
    return this.problem === "closed"
      ? "Close it after the last call, or start it again with Governance.start."
      : "Let the server finish its requests before it calls close(); look at what the call did before it is repeated."
  }
}
