import { Schema } from "effect"
import { WitnessProblem } from "./WitnessVerdict.ts"

/** A place outside the database that keeps checkpoints did not take them, or cannot be read. The log itself is not touched. */
export class CheckpointSinkError extends Schema.TaggedError<CheckpointSinkError>()("CheckpointSinkError", {
  sink: Schema.String,
  problem: Schema.Literals([
    "unreadable",
    "unwritable",
    "foreign",
    "unreachable",
    "unauthorized",
    "refused",
    "unusable"
  ]),
  /** Why a witness has refused one. */
  refusal: Schema.optionalKey(WitnessProblem)
}) {
  override get message() {
    const why = this.refusal === undefined ? "" : ` (${this.refusal})`
    return `Checkpoints cannot be kept in ${this.sink}: ${sentences[this.problem]}${why}`
  }
  get recoveryHint() {
    return hints[this.problem]
  }
}

/** The database is older than what left it, or the checkpoints part ways: signing has stopped (A-06, A-31). */
export class RolledBack extends Schema.TaggedError<RolledBack>()("RolledBack", { finding: Schema.String }) {
  override get message() {
    return `This database contradicts its checkpoints: ${this.finding}`
  }
  get recoveryHint() {
    return "Nothing is signed until somebody answers for it. If a backup was restored: `governance checkpoint adopt --reason ...`; else keep everything as it is and find out."
  }
}

/** Another deployment, or another checkpoint key, than the one that was known (A-05). */
export class OtherIdentity extends Schema.TaggedError<OtherIdentity>()("OtherIdentity", { finding: Schema.String }) {
  override get message() {
    return `This is not the log that was known here: ${this.finding}`
  }
  get recoveryHint() {
    return "Check that the database URL, GOVERNANCE_CHECKPOINT_KEY and the sink file belong together. If they were replaced on purpose, move the old sink file to a safe place (a witness: use a new workflow) and run `governance checkpoint adopt --reason ...`."
  }
}

/** Rows that a signed checkpoint saw are gone or changed. */
export class CheckpointContradicted extends Schema.TaggedError<CheckpointContradicted>()("CheckpointContradicted", {
  finding: Schema.String,
  findings: Schema.Int
}) {
  override get message() {
    return `The audit log contradicts its checkpoints: ${this.finding}${this.findings > 1 ? ` (and ${this.findings - 1} more)` : ""}`
  }
  get recoveryHint() {
    return "Keep a copy of the database as it is, compare with a backup, and look who could write to it."
  }
}

const sentences = {
  unreadable: "it cannot be read",
  unwritable: "it cannot be written",
  foreign: "it must be a file of yours alone",
  unreachable: "it does not answer",
  unauthorized: "it does not know our token, or its plan has no witness",
  refused: "it has refused what we showed it",
  unusable: "the platform settings cannot be used"
} as const

const hints = {
  unreadable: "Check that it exists and that you may read it.",
  unwritable:
    "Check the disk and the rights of the directory; what was missed is handed over with the next checkpoint.",
  foreign: "Check who could write it, then run chmod 600.",
  unreachable: "Nothing is lost: what was missed is handed over when it answers again.",
  unauthorized:
    "Compare GOVERNANCE_PLATFORM_INGEST_TOKEN with the page of the workflow; its workspace needs the tier with the witness.",
  refused:
    "Look at the alarm on the platform. After a restored backup run `governance checkpoint adopt --reason ...`; a new checkpoint key or another database needs a workflow of its own; else keep everything as it is and find out.",
  unusable:
    "Run `governance bridge status`. A private platform needs --trust-host host:port here and platform.trustedHosts in code."
} as const
