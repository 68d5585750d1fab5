import { Schema } from "effect"

/** A report or bundle names a session or an agent without any row: most likely a slip of the pen. Nothing was made. */
export class NotRecorded extends Schema.TaggedError<NotRecorded>()(
  "NotRecorded",
  { what: Schema.Literals(["session", "agent"]), id: Schema.String },
  { httpApiStatus: 404 }
) {
  override get message() {
    return `The log has no row of ${this.what} ${this.id}`
  }
  get recoveryHint() {
    return "Check the name: `governance tail` shows sessions and agents as they were recorded."
  }
}
