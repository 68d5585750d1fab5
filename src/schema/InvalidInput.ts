import { Schema } from "effect"

/** An argument that no call can be made of. Nothing was checked, counted or spent. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>()(
  "InvalidInput",
  {
    /** The argument, never its value. */
    field: Schema.String,
    problem: Schema.String
  },
  { httpApiStatus: 400 }
) {
  override get message() {
    return `${this.field}: ${this.problem}`
  }
  get recoveryHint() {
    return `Correct ${this.field}; the limits are in the documentation of the call.`
  }
}
