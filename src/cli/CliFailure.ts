import { Schema } from "effect"

/** The command line, or a file that it names, cannot be used as it is. Nothing was done. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  /** The flag, argument or file, never its value. */
  subject: Schema.String,
  problem: Schema.String,
  todo: Schema.String
}) {
  override get message() {
    return `${this.subject} ${this.problem}`
  }
  get recoveryHint() {
    return this.todo
  }
}

/** `verify` found rows that were changed, removed or written by someone without the key. */
export class Tampered extends Schema.TaggedError<Tampered>()("Tampered", { breaks: Schema.Int, chains: Schema.Int }) {
  override get message() {
    return `The audit log was tampered with: ${counted(this.breaks, "break")} in ${counted(this.chains, "chain")}`
  }
  get recoveryHint() {
    return "Keep a copy of the database as it is, compare with a backup, and look who could write to it."
  }
}

/** Nothing speaks against the rows that were read, but something that would prove them is missing. */
export class Unverifiable extends Schema.TaggedError<Unverifiable>()("Unverifiable", {
  what: Schema.String,
  todo: Schema.String
}) {
  override get message() {
    return `Not verified: ${this.what}`
  }
  get recoveryHint() {
    return this.todo
  }
}

/** The act changed nothing, and the state that was asked for does not hold. */
export class NothingToDo extends Schema.TaggedError<NothingToDo>()("NothingToDo", {
  what: Schema.String,
  todo: Schema.String
}) {
  override get message() {
    return this.what
  }
  get recoveryHint() {
    return this.todo
  }
}

/** `doctor` found something that has to be repaired, or could not look further. */
export class DoctorFindings extends Schema.TaggedError<DoctorFindings>()("DoctorFindings", {
  failed: Schema.Int,
  problem: Schema.Literals(["findings", "configuration", "unreachable"])
}) {
  override get message() {
    return `${counted(this.failed, "check")} failed${this.problem === "findings" ? "" : ", and nothing beyond could be looked at"}`
  }
  get recoveryHint() {
    return "The lines marked FAIL say what to do."
  }
}

/** "1 row", "2 rows". */
export const counted = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count} ${count === 1 ? noun : plural}`

/** The event of `bridge smoke-test` is not at the platform. */
export class SmokeTestFailed extends Schema.TaggedError<SmokeTestFailed>()("SmokeTestFailed", {
  problem: Schema.Literals(["refused", "unreachable"]),
  said: Schema.String
}) {
  override get message() {
    return `The platform did not take the event: ${this.said}`
  }
  get recoveryHint() {
    return this.problem === "refused"
      ? "Compare URL and token with the page of the workflow; a private platform needs --trust-host host:port here and platform.trustedHosts in code."
      : "Look whether the platform runs and can be reached from here, then repeat."
  }
}
