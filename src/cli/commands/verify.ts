import { Clock, Effect, Option } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { ChainIntegrityError } from "../../schema/AuditError.ts"
import type { ChainReport } from "../../schema/ChainReport.ts"
import type { CheckpointReport } from "../../schema/CheckpointVerdict.ts"
import { sessionChain } from "../../schema/Ids.ts"
import { SignatureStatus } from "../../schema/SignatureStatus.ts"
import { terminalText } from "../../schema/TerminalText.ts"
import { Audit } from "../../services/Audit.ts"
import { anchorText, borneOut, checkpointFlags, examined, headline, ofThisLog } from "../CheckpointAnchor.ts"
import { counted, Tampered, Unverifiable } from "../CliFailure.ts"
import { withReader } from "../Environment.ts"
import { keysMissing, secretMissing } from "../Judgement.ts"
import { chainIdOf, session, sessionIdOf } from "../Names.ts"
import { answer, progress } from "../Output.ts"
import { table } from "../Table.ts"

/** Walks the chains and reports every break. Exit 0: clean; 1: tampered, also as checkpoints show; 3: rolled back or another log; 4: a proof is missing (L-06). */
export const verify = Command.make("verify", {
  session,
  chain: Flag.String("chain").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("Only this chain: session:<id>, agent:<id> or operator"),
    Flag.optional
  ),
  ...checkpointFlags
}).pipe(
  Command.withDescription(
    "Check that no row of the audit log was changed, removed, reordered or forged. Exit 0: clean; 1: tampered, as chains or checkpoints show; 3: the database went back, or is another one; 4: a proof is missing."
  ),
  Command.withExamples([
    { command: "governance verify", description: "Every chain" },
    {
      command: "governance verify --checkpoints /mnt/elsewhere/checkpoints.jsonl",
      description: "Against checkpoints that were kept elsewhere"
    },
    { command: "governance verify --session order-4711", description: "One session" },
    {
      command: "governance verify --json | jq .breaks",
      description: "For programs; the exit code says it too: 0, 1, 3 or 4"
    }
  ]),
  Command.validate(({ chain, session }) =>
    Option.isSome(chain) && Option.isSome(session)
      ? Effect.fail(
          new CliError.ValidationError({ message: "--session and --chain both choose what is verified: give one" })
        )
      : Effect.void
  ),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const only = Option.isSome(input.session)
        ? sessionChain(yield* sessionIdOf(input.session.value))
        : Option.isSome(input.chain)
          ? yield* chainIdOf(input.chain.value)
          : undefined
      const found = yield* walk(only)
      // A chain that was asked for and is not there proves nothing, least of all that nobody deleted it.
      const nothing = only !== undefined && found.rows === 0 && found.verdict === "ok" && !isPruned(found)
      const report: ChainReport = nothing ? { ...found, verdict: "unverifiable" } : found
      const checkpoints = yield* examined(input, only)
      yield* answer(
        { ...report, checkpoints },
        (width) => `${text(report, checkpoints, width)}\n${anchorText(checkpoints)}`
      )
      yield* ofThisLog(checkpoints)
      yield* conclude(report, only)
      yield* borneOut(checkpoints)
    }, withReader)
  )
)

const walk = Effect.fnUntraced(function* (chain: string | undefined) {
  const audit = yield* Audit
  const line = yield* progress
  let shownAt = 0
  const onProgress = Effect.fnUntraced(function* (rows: number) {
    const now = yield* Clock.currentTimeMillis
    if (now - shownAt < 200) return
    shownAt = now
    yield* line.show(`verifying: ${rows} rows`)
  })
  return yield* Effect.ensuring(audit.report({ onProgress, ...(chain === undefined ? {} : { chain }) }), line.clear)
})

const text = (report: ChainReport, checkpoints: CheckpointReport, width: number | undefined): string => {
  const against = checkpoints.findings.filter(({ verdict }) => verdict !== "noCheckpoints").length
  const bad = report.chains.filter(({ verdict }) => verdict !== "ok")
  const lines = [
    ...(bad.length === 0 ? [] : [table(columns, bad, width), ""]),
    ...report.breaks.map((found) => terminalText(new ChainIntegrityError(found).message)),
    ...(report.breaks.length === 0 ? [] : [""]),
    ...noteLines(report),
    `${headline(report, checkpoints)}: ${counted(report.rows, "row")} in ${counted(report.chains.length, "chain")}, ${counted(report.breaks.length, "break")}${against === 0 ? "" : `, ${counted(against, "finding")} of checkpoints`}`,
    ...signatureLines(report),
    ...(report.authenticated
      ? []
      : ["Who wrote the rows was not checked: GOVERNANCE_AUDIT_SECRET is not set. Texts, hashes and links were."]),
    ...(report.late.rows === 0
      ? []
      : [
          `${counted(report.late.rows, "row")} under a key that had been replaced more than ten minutes before: a program was left behind, or somebody still uses the old secret. First: ${terminalText(report.late.first[0]?.chain ?? "")}, row ${report.late.first[0]?.seq}`
        ]),
    ...report.unresolvedKeyIds.map((id) => `unknown key ${terminalText(id)}`),
    ...report.unresolvedSigners.map((signer) => `unknown signer ${terminalText(signer)}`)
  ]
  return lines.join("\n")
}

const isPruned = (report: ChainReport) => report.chains.some(({ pruned }) => pruned !== undefined)

/** What is no sign of tampering and yet good to know. */
const noteLines = (report: ChainReport): ReadonlyArray<string> => {
  const lines = report.chains.flatMap(({ chain, closed, pruned }) => [
    ...(pruned === undefined
      ? []
      : [`${terminalText(chain)}: rows 1 to ${pruned.toSeq} were pruned (seal: operator, row ${pruned.sealSeq})`]),
    ...(closed === undefined || closed.rowsAfter === 0
      ? []
      : [`${terminalText(chain)}: closed by row ${closed.seq}, ${counted(closed.rowsAfter, "row")} came after it`])
  ])
  const more = lines.length - mostLines
  return more <= 0 ? lines : [...lines.slice(0, mostLines), `and ${more} more of these; --json lists all`]
}

const mostLines = 20

/** Signatures by what they say, where rows have any or should have. */
const signatureLines = ({ signatures = {} }: ChainReport): ReadonlyArray<string> => {
  const found = SignatureStatus.literals.flatMap((status) => {
    const rows = signatures[status] ?? 0
    return rows === 0 ? [] : [`${rows} ${status}`]
  })
  return found.length === 0 || (found.length === 1 && signatures.legacy_unsigned !== undefined)
    ? []
    : [`signatures: ${found.join(", ")}`]
}

const columns = [
  { title: "CHAIN", keep: true, value: (row: ChainReport["chains"][number]) => row.chain },
  { title: "ROWS", right: true, keep: true, value: (row: ChainReport["chains"][number]) => String(row.rows) },
  { title: "NOT JUDGED", right: true, keep: true, value: (row: ChainReport["chains"][number]) => String(row.unjudged) },
  { title: "VERDICT", keep: true, value: (row: ChainReport["chains"][number]) => row.verdict }
]

const conclude = Effect.fnUntraced(function* (report: ChainReport, chain: string | undefined) {
  if (report.verdict === "tampered") {
    const chains = new Set(report.breaks.map((found) => found.chain)).size
    return yield* new Tampered({ breaks: report.breaks.length, chains })
  }
  if (chain !== undefined && report.rows === 0 && !isPruned(report)) {
    return yield* new Unverifiable({
      what: `${chain} has no rows here`,
      todo: "Check the name with `governance tail --since 1d`; if the chain should exist, its rows were deleted."
    })
  }
  if (report.verdict === "unverifiable") {
    return yield* keysMissing
  }
  if (!report.authenticated && report.rows > 0) {
    return yield* secretMissing
  }
})
