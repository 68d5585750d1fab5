import { createHash } from "node:crypto"
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { terminalText } from "../../schema/TerminalText.ts"
import { type BundleRequest, Bundles } from "../../services/Bundles.ts"
import { counted, UsageError } from "../CliFailure.ts"
import { withServices } from "../Environment.ts"
import { evidenceFlags, evidenceRequest } from "../EvidenceFlags.ts"
import { untampered } from "../Judgement.ts"
import { writeNew } from "../NewFile.ts"
import { by, operator } from "../Operator.ts"
import { answer } from "../Output.ts"

/** Writes evidence that a stranger can check: rows, report, proofs and keys in one archive (BEY-04). */
export const exportBundle = Command.make("export", {
  ...evidenceFlags,
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("Every chain; the default when neither a session nor an agent is named"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  file: Flag.String("file").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("path"),
    Flag.withDescription("Where to write the bundle (default evidence.zip); must not exist yet"),
    Flag.withDefault("evidence.zip")
  ),
  by
}).pipe(
  Command.withDescription(
    "Write an evidence bundle that can be checked without this database and without its secret. Its export is recorded."
  ),
  Command.withExamples([
    { command: "governance export --session order-4711 -o order-4711.zip", description: "One session" },
    { command: "governance export --all -o evidence.zip", description: "Every chain" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const request = yield* evidenceRequest(input)
      if (input.all && (request.sessionIds !== undefined || request.agentId !== undefined)) {
        return yield* new UsageError({
          subject: "--all",
          problem: "and a session or an agent contradict each other",
          todo: "Give one of them."
        })
      }
      yield* writeBundle(input.file, { ...request, by: yield* operator(input.by) })
    }, withServices)
  )
)

/** Also behind `report -o <name>.zip` (CMP-13). */
export const writeBundle = Effect.fnUntraced(function* (path: string, request: BundleRequest) {
  const bundles = yield* Bundles
  const digest = createHash("sha256")
  let bytes = 0
  const { bundle, verification } = yield* writeNew(path, (put) =>
    bundles.write(request, (piece) => {
      digest.update(piece)
      bytes += piece.length
      return put(piece)
    })
  )
  const sha256 = digest.digest("hex")
  const facts = {
    file: path,
    bytes,
    sha256,
    rows: bundle.rows,
    chains: bundle.chains.length,
    reportId: bundle.reportId,
    chainIntegrityStatus: bundle.chainIntegrityStatus,
    chainVerificationError: bundle.chainVerificationError,
    covers: bundle.covers,
    notCovered: bundle.notCovered,
    signedBy: bundle.signedBy
  }
  yield* answer(facts, () =>
    [
      `Wrote ${terminalText(path)}: ${counted(bundle.rows, "row")} in ${counted(bundle.chains.length, "chain")}, ${bytes} bytes`,
      `sha256 ${sha256}`,
      `chains ${bundle.chainIntegrityStatus}${bundle.chainVerificationError === null ? "" : ` (${terminalText(bundle.chainVerificationError)})`}`,
      bundle.covers === null
        ? "no checkpoint covers it: a stranger can check that it is whole, not that it is true"
        : `covers up to checkpoint ${bundle.covers.size} of ${terminalText(bundle.covers.origin)}`,
      `Check it with \`governance verify-bundle ${terminalText(path)}\`.`
    ].join("\n")
  )
  if (verification !== null) yield* untampered(verification)
})
