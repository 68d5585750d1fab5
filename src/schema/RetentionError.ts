import { Schema } from "effect"
import { LegalHold } from "./LegalHold.ts"

/** Rows were not pruned, or a subject was not erased, because something forbids it. Nothing was changed. */
export class RetentionRefused extends Schema.TaggedError<RetentionRefused>()(
  "RetentionRefused",
  {
    problem: Schema.Literals([
      "held",
      "tooYoung",
      "operatorChain",
      "unverifiable",
      "tampered",
      "mismatch",
      "moved",
      "notOwner"
    ]),
    /** The chain; for an erasure empty, since a subject appears nowhere. */
    chain: Schema.String,
    holds: Schema.Array(LegalHold)
  },
  { httpApiStatus: 409 }
) {
  override get message() {
    const held = this.holds.map(({ name, scope }) => (scope === "subject" ? "its subject" : `${scope} ${name}`))
    const what = this.chain === "" ? "Nothing was changed" : `${this.chain} was not pruned`
    return `${what}: ${this.problem === "held" ? `a legal hold stands on ${held.join(", ") || "its rows"}` : sentences[this.problem]}`
  }
  get recoveryHint() {
    return hints[this.problem]
  }
}

export type RetentionProblem = RetentionRefused["problem"]

const sentences: Record<Exclude<RetentionProblem, "held">, string> = {
  tooYoung: "its rows are younger than the minimum retention",
  operatorChain: "chain operator holds the seals, and is never pruned",
  unverifiable: "its rows cannot be verified with the keys that are here",
  tampered: "its rows do not verify, and sealing them would hide that",
  mismatch: "its rows are not those that were sealed",
  moved: "somebody else seals or prunes it at the same time",
  notOwner: "only the owner of the tables may prune or release"
}

const hints: Record<RetentionProblem, string> = {
  held: "`governance hold list` shows who set it and why; `governance hold release` ends it.",
  tooYoung: "Wait, or allow a shorter time explicitly if no law binds you to keep the log.",
  operatorChain: "Leave it: it is small, and what was pruned is proved by it.",
  unverifiable: "Give the rotated-out secrets and keys, and verify first.",
  tampered: "Run `governance verify` for every break; a log that was changed is kept as it is.",
  mismatch: "Run `governance verify`: the log was changed after it was sealed.",
  moved: "Run it again.",
  notOwner: "Connect as the role that ran `governance migrate`."
}
