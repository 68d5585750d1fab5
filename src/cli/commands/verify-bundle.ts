import { Effect, FileSystem, Option, Result } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { BundleVerdict } from "../../schema/BundleVerdict.ts"
import { parseVerifierKey } from "../../schema/SignedNote.ts"
import { terminalText } from "../../schema/TerminalText.ts"
import { verifyBundle as verifyArchive } from "../../services/BundleVerifier.ts"
import { sha256 } from "../../services/CheckpointKey.ts"
import { BundleRejected } from "../BundleRejected.ts"
import { counted, UsageError } from "../CliFailure.ts"
import { answer } from "../Output.ts"

/** Checks a bundle from its own bytes. Opens no database and needs no secret. Exit 0, 1, 2, 3 or 4 (L-06). */
export const verifyBundle = Command.make("verify-bundle", {
  file: Argument.String("file").pipe(Argument.withDescription("The bundle, as `governance export` wrote it")),
  checkpointKey: Flag.String("checkpoint-key").pipe(
    Flag.withMetavar("key"),
    Flag.withDescription("The deployment's checkpoint key (name+hash+base64), from another source than the bundle"),
    Flag.optional
  )
}).pipe(
  Command.withDescription(
    "Check an evidence bundle, ZIP or JSON. Needs no database, no secret and no network.\n  Exit code 0: what the holder of the key signed. 1: tampered with, or no bundle. 3: signed with another key. 4: nothing speaks against it, and something that would prove it is missing."
  ),
  Command.withExamples([
    {
      command: "governance verify-bundle evidence.zip --checkpoint-key 'effect-governance/…+…'",
      description: "Is it what the holder of this key signed?"
    },
    { command: "governance verify-bundle evidence.zip", description: "Is it whole? Exit 4: nobody vouches for its key" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const key = yield* Option.match(input.checkpointKey, {
        onNone: () => Effect.succeed(null),
        onSome: (text) =>
          Result.match(parseVerifierKey(text.trim(), sha256), {
            onSuccess: (parsed) => Effect.succeed(parsed),
            onFailure: (error) =>
              Effect.fail(
                new UsageError({
                  subject: "--checkpoint-key",
                  problem: `is no verifier key: ${error.problem}`,
                  todo: "Give it as `governance checkpoint key` prints it: name+hash+base64, in quotes."
                })
              )
          })
      })
      const found = yield* Effect.fromResult(verifyArchive(yield* archive(input.file), key))
      yield* answer(found, () => text(input.file, found))
      if (found.verdict !== "ok") return yield* new BundleRejected({ problem: found.verdict })
    })
  )
)

const maxArchiveBytes = 1_000_000_000

const archive = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  const unreadable = () =>
    new UsageError({ subject: path, problem: "cannot be read", todo: "Check that it exists and that you may read it." })
  const { size, type } = yield* Effect.mapError(files.stat(path), unreadable)
  if (type !== "File") return yield* unreadable()
  if (size > maxArchiveBytes) {
    return yield* new UsageError({ subject: path, problem: "is larger than 1 GB", todo: "Ask for single sessions." })
  }
  return yield* Effect.mapError(files.readFile(path), unreadable)
})

const text = (path: string, found: BundleVerdict): string =>
  [
    `${words[found.verdict]}: ${terminalText(path)}, ${counted(found.rows, "row")} in ${counted(found.chains, "chain")}, ${found.signedRows} signed by agents`,
    found.covers === null
      ? "Covered by no checkpoint."
      : `Covers up to checkpoint ${found.covers.size} of ${terminalText(found.covers.origin)}.`,
    ...(found.exporterFound === null || found.verdict === "tampered"
      ? []
      : [`Its chains, as whoever made it found them: ${found.exporterFound}.`]),
    // The key is the bundle's own word until it is the one that was given and its signature fits.
    ...(found.signedBy === null
      ? []
      : [`${found.verdict === "ok" ? "Signed by" : "It names the key"} ${terminalText(found.signedBy, 1000)}`]),
    ...found.problems.map((problem) => `PROBLEM      ${terminalText(problem, 500)}`),
    ...(found.moreProblems === 0 ? [] : [`PROBLEM      … and ${found.moreProblems} more`]),
    ...found.missing.map((one) => `MISSING      ${terminalText(one, 500)}`),
    ...found.notCovered.map((one) => `NOT COVERED  ${terminalText(one, 500)}`)
  ].join("\n")

const words = {
  ok: "ok",
  tampered: "TAMPERED",
  otherIdentity: "ANOTHER KEY",
  unverifiable: "NOT VERIFIED"
} as const
