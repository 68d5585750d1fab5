import { Schema } from "effect"

/**
 * The store could not answer. Never a verdict: enforcement treats it as "no", observation goes on without it (RES-01, RES-02).
 * `problem` says what a caller can do about it; the driver's own error stays in `detail`, which is never serialised.
 */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  store: Schema.String,
  operation: Schema.String,
  problem: Schema.Literals(["unreachable", "deadline", "overload", "refused", "integrity", "closed"])
}) {
  override get message() {
    return `${this.store}.${this.operation}: ${sentences[this.problem]}`
  }
  get recoveryHint() {
    return hints[this.problem]
  }
  /** What the driver said, for the log of an operator; not enumerable, so it crosses no wire and no `inspect`. */
  get detail(): unknown {
    return details.get(this)
  }
  static because(facts: Pick<StoreError, "store" | "operation" | "problem">, detail: unknown): StoreError {
    const error = new StoreError(facts)
    details.set(error, detail)
    return error
  }
}

export type StoreProblem = StoreError["problem"]

const details = new WeakMap<StoreError, unknown>()

const sentences: Record<StoreProblem, string> = {
  unreachable: "the governance database cannot be reached",
  deadline: "the governance database did not answer in time",
  overload: "there is no room for more: its connections or the queue to it are full",
  refused: "the governance database refused the statement",
  integrity: "the stored data contradict themselves",
  closed: "governance is shutting down"
}

const hints: Record<StoreProblem, string> = {
  unreachable: "Check that Postgres runs and that GOVERNANCE_DATABASE_URL is right; `governance doctor` tells more.",
  deadline: "Check the load and the network of the database, or raise `enforcementDeadline`.",
  overload: "Slow down, or look why the database does not keep up.",
  refused: "Run `governance migrate`, then `governance doctor`.",
  integrity: "Run `governance verify`.",
  closed: "Make no calls after the scope of the governance layer has closed."
}
