import { ByteSize, Effect, FileSystem, Option, References, Stdio } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { parsePolicyFile } from "../../schema/PolicyFileText.ts"
import { replayJson, totalsOf } from "../../schema/ReplayReport.ts"
import { UsageError } from "../CliFailure.ts"
import { readText } from "../InputText.ts"
import { answer, progress } from "../Output.ts"
import { bar } from "../replay/ProgressBar.ts"
import { replay as run } from "../replay/Replay.ts"
import { replayText } from "../replay/ReplayText.ts"
import { WouldHaveStopped } from "../replay/WouldHaveStopped.ts"

/** What a policy would have stopped in recorded sessions (BEY-14). Needs no database and changes nothing. */
export const replay = Command.make("replay", {
  file: Argument.String("sessions.jsonl").pipe(
    Argument.withDescription(
      "Recorded sessions, one a line, with OpenAI chat messages and their tool_calls; - for standard input"
    )
  ),
  policy: Flag.String("policy").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("The policy file to try; policies of the agent * hold for every agent of the recording")
  ),
  model: Flag.String("model").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("The model of replies whose session names none"),
    Flag.optional
  ),
  skipInvalid: Flag.Boolean("skip-invalid").pipe(
    Flag.withDescription("Leave out lines that are no session, and say which, instead of stopping there"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  failOnStop: Flag.Boolean("fail-on-stop").pipe(
    Flag.withDescription("Exit with 1 if any call would have been stopped or would wait for approval"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  )
}).pipe(
  Command.withDescription(
    "Try a policy on recorded sessions: what would it have stopped, and what did it all cost?\n  Needs no database. Without timestamps a recording advances one second a message; without usage costs are estimates."
  ),
  Command.withShortDescription("Try a policy on recorded sessions: what would it have stopped?"),
  Command.withExamples([
    {
      command: "governance replay sessions.jsonl --policy examples/policy.json",
      description: "What would it have stopped?"
    },
    {
      command: "governance replay sessions.jsonl --policy policy.json --json | jq .totals",
      description: "For programs"
    },
    {
      command: "governance replay sessions.jsonl --policy policy.json --fail-on-stop",
      description: "For CI: exit 1 if it stops anything"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const text = yield* readText(input.policy, maxPolicyBytes)
      const entries = yield* Effect.fromResult(parsePolicyFile(input.policy, text, { wildcard: true }))
      const { bytes, size } = yield* source(input.file)
      const line = yield* progress
      const level = yield* References.MinimumLogLevel
      const show = bar("replaying", size)
      const result = yield* run(bytes, {
        name: input.file === "-" ? "standard input" : input.file,
        policy: { text, entries },
        model: Option.getOrUndefined(input.model),
        skipInvalid: input.skipInvalid,
        onProgress: (done, sessions) =>
          Option.match(show(done, sessions), { onNone: () => Effect.void, onSome: line.show })
      }).pipe(
        Effect.ensuring(line.clear),
        // The report says what the enforcement would warn of, call by call.
        Effect.provideService(References.MinimumLogLevel, level === "Warn" ? "Error" : level)
      )
      yield* answer(replayJson(result), (width) => replayText(result, input.file, width))
      const { sessionsWithStop, verdicts } = totalsOf(result)
      if (input.failOnStop && sessionsWithStop > 0) {
        const calls = Object.values(verdicts).reduce((sum, count) => sum + count, 0) - verdicts.allowed
        return yield* new WouldHaveStopped({ calls, sessions: sessionsWithStop })
      }
    })
  )
)

const maxPolicyBytes = 4 * 1024 * 1024

const source = Effect.fnUntraced(function* (path: string) {
  if (path === "-") {
    const stdio = yield* Stdio.Stdio
    return { bytes: stdio.stdin, size: undefined }
  }
  const files = yield* FileSystem.FileSystem
  const unreadable = () =>
    new UsageError({ subject: path, problem: "cannot be read", todo: "Check that it exists and that you may read it." })
  const info = yield* Effect.mapError(files.stat(path), unreadable)
  if (info.type === "Directory") {
    return yield* new UsageError({ subject: path, problem: "is a directory", todo: "Name the file with the sessions." })
  }
  return { bytes: files.stream(path), size: Number(ByteSize.toBigInt(info.size)) }
})
