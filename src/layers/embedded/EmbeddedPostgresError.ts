import { Effect, Schema } from "effect"

/** The embedded PostgreSQL could not be started or joined. `detail` is what the machine said, without any secret. */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>()("EmbeddedPostgresError", {
  operation: Schema.Literals([
    "find binaries",
    "prepare binaries",
    "prepare data directory",
    "initialise",
    "start",
    "join"
  ]),
  problem: Schema.Literals([
    "unsupported",
    "missing",
    "unusable",
    "directory",
    "foreign",
    "version",
    "server",
    "silent"
  ]),
  subject: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    const detail = this.detail === "" ? "" : ` (${this.detail})`
    return `Embedded PostgreSQL, ${this.operation}: ${sentences[this.problem](this.subject)}${detail}`
  }
  get recoveryHint() {
    return hints[this.problem]
  }
}

export type EmbeddedPostgresOperation = EmbeddedPostgresError["operation"]
export type EmbeddedPostgresProblem = EmbeddedPostgresError["problem"]

/** Runs one synchronous call of Node and says in our words what failed. */
export const attempt = <A>(
  operation: EmbeddedPostgresOperation,
  problem: EmbeddedPostgresProblem,
  subject: string,
  run: () => A
): Effect.Effect<A, EmbeddedPostgresError> =>
  Effect.try({
    try: run,
    catch: (cause) => new EmbeddedPostgresError({ operation, problem, subject, detail: describe(cause) })
  })

export const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const sentences: Record<EmbeddedPostgresProblem, (subject: string) => string> = {
  unsupported: (platform) => `there are no PostgreSQL binaries for ${platform}`,
  missing: (name) => `the optional package ${name} is not installed`,
  unusable: (path) => `the binaries in ${path} cannot be run here`,
  directory: (path) => `${path} cannot be used as a data directory`,
  foreign: (path) => `${path} does not belong to this program or this user`,
  version: (path) => `${path} was written by another major version of PostgreSQL`,
  server: (path) => `the server of ${path} did not start`,
  silent: (path) => `the server of ${path} did not answer in time`
}

const database = "set GOVERNANCE_DATABASE_URL to a PostgreSQL server of your own"
const hints: Record<EmbeddedPostgresProblem, string> = {
  unsupported: `The embedded server runs on Linux with glibc and macOS, x64 and arm64; elsewhere ${database}.`,
  missing: `Install again without omitting optional dependencies, or ${database}.`,
  unusable: `Allow programs to be run from the temporary directory (TMPDIR), or ${database}.`,
  directory: `Choose a local directory that you may write with --data-dir, or ${database}.`,
  foreign: "Run as the user who made the directory, or choose an empty one with --data-dir.",
  version: "Open it with the release of effect-governance that wrote it, or choose another --data-dir.",
  server: `Read server.log and watchdog.log in that directory, or ${database}.`,
  silent: "Read server.log and watchdog.log in that directory, and try again."
}
