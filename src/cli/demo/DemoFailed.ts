import { Schema } from "effect"

/** The demo did not show what it promises: something in this installation is broken. */
export class DemoFailed extends Schema.TaggedError<DemoFailed>()("DemoFailed", { what: Schema.String }) {
  override get message() {
    return `The demo went wrong: ${this.what}`
  }
  get recoveryHint() {
    return "Run it again with --log-level debug and report what it says."
  }
}
