import { createHash } from "node:crypto"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { BundleFacts } from "../../schema/Bundle.ts"
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
  format: Flag.Literals("format", ["zip", "json"]).pipe(
    Flag.withDescription(
      "zip: an archive with pages to read; json: one document for programs. Default: json for a name that ends in .json, else zip"
    ),
    Flag.optional
  ),
  file: Flag.String("file").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("path"),
    Flag.withDescription("Where to write the bundle (default evidence.zip or evidence.json); must not exist yet"),
    Flag.optional
  ),
  by
}).pipe(
  Command.withDescription(
    "Write an evidence bundle that can be checked without this database and without its secret. Its export is recorded."
  ),
  Command.withExamples([
    { command: "governance export --session order-4711 -o order-4711.zip", description: "One session" },
    { command: "governance export --all -o evidence.zip", description: "Every chain" },
    { command: "governance export --format json --agent billing-agent", description: "One agent, as evidence.json" }
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
      const given = Option.getOrUndefined(input.file)
      const named = given?.toLowerCase().endsWith(".json") === true ? "json" : "zip"
      const form = Option.getOrElse(input.format, () => named)
      yield* writeBundle(given ?? `evidence.${form}`, { ...request, form, by: yield* operator(input.by) })
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
        ? "no checkpoint covers it: a stranger can check that it is whole, not that it is true. `governance checkpoint` makes one; then export again"
        : `covers up to checkpoint ${bundle.covers.size} of ${terminalText(bundle.covers.origin)}`,
      ...next(path, bundle)
    ].join("\n")
  )
  if (verification !== null) yield* untampered(verification)
})

/** What to hand over, and how it is checked. */
const next = (path: string, { signedBy }: BundleFacts): ReadonlyArray<string> => {
  const check = `governance verify-bundle ${terminalText(path)}`
  return signedBy.some(({ algorithm }) => algorithm === "Ed25519")
    ? [
        "Hand over the file, and by another way the key that `governance checkpoint key` prints. Whoever has both checks it with",
        `  ${check} --checkpoint-key '<that key>'`
      ]
    : [
        "no checkpoint key signed it: with GOVERNANCE_CHECKPOINT_KEY set, the next export can be traced to you",
        `Check that it is whole with \`${check}\`.`
      ]
}
