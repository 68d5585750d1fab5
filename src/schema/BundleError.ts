import { Schema } from "effect"

/** A file that is not opened as a bundle: it is damaged, or made to harm whoever opens it. Nothing of it was unpacked. */
export class BundleRefused extends Schema.TaggedError<BundleRefused>()("BundleRefused", { problem: Schema.String }) {
  override get message() {
    return `The bundle was not opened: ${this.problem}`
  }
  get recoveryHint() {
    return "Ask for the file again, over another way; a bundle is exactly what `governance export` wrote."
  }
}
