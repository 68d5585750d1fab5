import type { Option } from "effect"
import { Command, Flag } from "effect/cli"

/** The program itself and the flags of all its commands. A command reads them with `yield* governance`. */
export const governance = Command.make("governance").pipe(
  Command.withDescription(
    "Watch over AI agents: what they did, what they may do, and the switch that stops them.\n  Without a database URL an embedded PostgreSQL in ./.governance is used."
  ),
  Command.withExamples([
    { command: "governance demo", description: "See it work, with nothing to set up" },
    { command: "governance verify", description: "Is the audit log untouched?" },
    { command: 'governance halt billing-agent --reason "wrong refunds"', description: "Stop an agent, everywhere" },
    { command: "governance agents --database-url env:DATABASE_URL --json", description: "Use a database of your own" }
  ]),
  Command.withSharedFlags({
    databaseUrl: Flag.String("database-url").pipe(
      Flag.withMetavar("url"),
      Flag.withDescription(
        "env:NAME, file:PATH, - (standard input) or a URL without a password; else GOVERNANCE_DATABASE_URL"
      ),
      Flag.optional
    ),
    schema: Flag.String("schema").pipe(
      Flag.withMetavar("name"),
      Flag.withDescription("Postgres schema of the governance tables (default public)"),
      Flag.withDefault("public")
    ),
    dataDir: Flag.String("data-dir").pipe(
      Flag.withMetavar("path"),
      Flag.withDescription("Use the embedded database in this directory (default ./.governance)"),
      Flag.optional
    ),
    trustHost: Flag.String("trust-host").pipe(
      Flag.withMetavar("host:port"),
      Flag.withDescription("A platform on a private network or on this machine; may be given more than once"),
      Flag.atLeast(0)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print JSON on standard output and nothing else"),
      Flag.withoutNegation,
      Flag.withDefault(false)
    )
  })
)

/** What `yield* governance` gives. */
export interface SharedFlags {
  readonly databaseUrl: Option.Option<string>
  readonly schema: string
  readonly dataDir: Option.Option<string>
  /** Typed by whoever runs the command, as code opens a private platform to a program: no variable can do it (DEC-11). */
  readonly trustHost: ReadonlyArray<string>
  readonly json: boolean
}
