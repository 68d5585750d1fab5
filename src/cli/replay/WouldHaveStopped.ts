import { Schema } from "effect"
import { counted } from "../CliFailure.ts"

/** `replay --fail-on-stop` found calls that the policy would not have let through. Exit code 1 (DEC-21). */
export class WouldHaveStopped extends Schema.TaggedError<WouldHaveStopped>()("WouldHaveStopped", {
  calls: Schema.Int,
  sessions: Schema.Int
}) {
  override get message() {
    return `The policy would have stopped ${counted(this.calls, "call")} in ${counted(this.sessions, "session")}`
  }
  get recoveryHint() {
    return "The report above names them; without --fail-on-stop this is no failure."
  }
}
