import { Effect, Option, Result } from "effect"
import { Argument, CliError, Command, Flag } from "effect/cli"
import { terminalText } from "../../schema/TerminalText.ts"
import { Audit } from "../../services/Audit.ts"
import { UsageError } from "../CliFailure.ts"
import { withServices } from "../Environment.ts"
import { readFrom } from "../InputText.ts"
import { answer } from "../Output.ts"

/** Writes one event from a script or a pipeline (CLI-12). Succeeds only when the row is in the database. */
export const emit = Command.make("emit", {
  kind: Argument.String("kind").pipe(Argument.withDescription("What happened, such as deploy.finished")),
  agent: Flag.String("agent").pipe(Flag.withMetavar("id"), Flag.withDescription("The agent it belongs to")),
  session: Flag.String("session").pipe(
    Flag.withMetavar("id"),
    Flag.withDescription("The session it belongs to; without one it goes to the agent's own chain"),
    Flag.optional
  ),
  metadata: Flag.String("metadata").pipe(
    Flag.withMetavar("json"),
    Flag.withDescription("Facts as JSON, at most 64 KiB; what is secret does not belong on a command line"),
    Flag.optional
  ),
  metadataFile: Flag.String("metadata-file").pipe(
    Flag.withMetavar("path"),
    Flag.withDescription("The same from a file, or - for standard input"),
    Flag.optional
  )
}).pipe(
  Command.withDescription("Write one event to the audit log; succeeds only when it is durably stored."),
  Command.withExamples([
    {
      command: `governance emit deploy.finished --agent ci --metadata '{"version":"1.4.2"}'`,
      description: "From a pipeline"
    },
    {
      command: "make-report | governance emit report.made --agent reporter --session q3 --metadata-file -",
      description: "Facts from another program"
    }
  ]),
  Command.validate(({ metadata, metadataFile }) =>
    Option.isSome(metadata) && Option.isSome(metadataFile)
      ? Effect.fail(
          new CliError.ValidationError({ message: "--metadata and --metadata-file are the same thing: give one" })
        )
      : Effect.void
  ),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const metadata = yield* metadataOf(input)
      const record = yield* withServices(
        Audit.use((audit) =>
          audit.require({
            kind: input.kind,
            agentId: input.agent,
            ...(metadata === undefined ? {} : { metadata }),
            ...(Option.isSome(input.session) ? { sessionId: input.session.value } : {})
          })
        )
      )
      yield* answer(
        { ...record },
        () =>
          `Stored ${terminalText(record.kind)} as row ${record.seq} of ${terminalText(record.chain)} (${record.id}) at ${record.at}`
      )
    })
  )
)

const metadataOf = Effect.fnUntraced(function* (input: {
  readonly metadata: Option.Option<string>
  readonly metadataFile: Option.Option<string>
}) {
  if (Option.isSome(input.metadata)) return yield* parsed(input.metadata.value, "--metadata")
  if (Option.isNone(input.metadataFile)) return undefined
  const path = input.metadataFile.value
  return yield* parsed(yield* readFrom(path, maxBytes), path === "-" ? "Standard input" : path)
})

const parsed = (text: string, subject: string): Effect.Effect<unknown, UsageError> =>
  Result.match(
    Result.try(() => JSON.parse(text)),
    {
      onSuccess: Effect.succeed,
      onFailure: () =>
        Effect.fail(
          new UsageError({
            subject,
            problem: "is not JSON",
            todo: `Give an object such as '{"version":"1.4.2"}', quoted for your shell.`
          })
        )
    }
  )

/** Room for indentation around the 64 KiB of facts that the audit log itself checks in canonical form (AUD-06). */
const maxBytes = 1_048_576
