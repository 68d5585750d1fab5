import { Schema } from "effect"

/** `verify-bundle` has said what it found; this is its exit code and the one line beside it. */
export class BundleRejected extends Schema.TaggedError<BundleRejected>()("BundleRejected", {
  problem: Schema.Literals(["tampered", "otherIdentity", "unverifiable"])
}) {
  override get message() {
    return sentences[this.problem]
  }
  get recoveryHint() {
    return hints[this.problem]
  }
}

const sentences = {
  tampered: "The bundle contradicts itself, or says itself that its rows were tampered with",
  otherIdentity: "The bundle was signed with another key than the one that was given",
  unverifiable: "Nothing speaks against the bundle, and something that would prove it is missing"
} as const

const hints = {
  tampered: "The lines marked PROBLEM say where; ask for the bundle again, and keep this one.",
  otherIdentity: "Ask the operator, over another way than the bundle, which key the deployment has.",
  unverifiable:
    "The lines marked MISSING say what; the checkpoint key comes from the operator, over another way than the bundle."
} as const
