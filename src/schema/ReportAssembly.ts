import type { ChainResult } from "./ChainReport.ts"
import {
  type ChainIntegrityStatus,
  type ComplianceReport,
  type CoveredCheckpoint,
  coverageCaveat,
  type ReportFact
} from "./ComplianceReport.ts"
import { isoOf } from "./Instant.ts"
import { regulatoryNotes } from "./Regulation.ts"
import { article12Sections, fact, summarySections } from "./ReportSections.ts"
import type { ReportTally } from "./ReportTally.ts"

/** What was read of a chain: the first row that is still there, and the last one up to which it was read. */
export interface ReadChain {
  readonly chain: string
  readonly firstSeq: number
  readonly lastSeq: number
  /** The last row that the checkpoint vouches for; 0 for none. */
  readonly coveredTo: number
}

export interface Verification {
  readonly results: ReadonlyArray<ChainResult>
  /** All of them; `findings` has the first. */
  readonly breaks: number
  readonly findings: ReadonlyArray<string>
  readonly error: string | null
  readonly authenticated: boolean
}

export interface ReportFacts {
  readonly format: ComplianceReport["format"]
  readonly deploymentId: string | null
  readonly agentId: string | null
  readonly sessionIds: ReadonlyArray<string> | null
  readonly fromMs: number | null
  readonly toMs: number | null
  readonly atMs: number | null
  readonly tally: ReportTally
  readonly chains: ReadonlyArray<ReadChain>
  readonly checkpoint: CoveredCheckpoint | null
  /** Null when it was not asked for. */
  readonly verification: Verification | null
  /** Of the sealed values, those whose subject was erased, and those whose key whoever made the report does not have. */
  readonly sealed: { readonly erased: number; readonly unreadable: number }
  readonly coverage: Pick<ComplianceReport, "coveragePct" | "coveragePctReason">
}

/** The report without its id. Pure: the same facts give the same report. */
export const assembleReport = (facts: ReportFacts): ComplianceReport => {
  const { tally, verification } = facts
  const chainIntegrityStatus = integrityOf(verification)
  const sections = facts.format === "article12" ? article12Sections : summarySections
  const newest = Number.isFinite(tally.lastMs) ? tally.lastMs : null
  return {
    reportId: "",
    generatedAt: timeOf(facts.atMs ?? newest),
    format: facts.format,
    deploymentId: facts.deploymentId,
    agentId: facts.agentId,
    sessionIds: facts.sessionIds,
    dateRange: { from: timeOf(facts.fromMs), to: timeOf(facts.toMs) },
    timezone: "UTC",
    sections: sections(tally, chainIntegrityStatus),
    chainIntegrityStatus,
    chainFindings: verification?.findings ?? [],
    chainVerificationError: verification?.error ?? null,
    rotationAware: true,
    coverageCaveat,
    ...facts.coverage,
    checkpoint: facts.checkpoint,
    integrity: integrityFacts(facts),
    orphans: {
      title: "Calls without an end",
      columns: ["Time", "Row", "Kind", "Agent", "What", "Found abandoned"],
      rows: tally.calls.orphans.items.map(({ row, swept }) => [
        row.at,
        row.place,
        row.kind,
        row.agent,
        row.name,
        swept ? "yes, charged what was held" : "not yet: it may still run"
      ]),
      more: tally.calls.orphans.more
    },
    retention: retentionFacts(facts),
    notCovered: notCovered(facts),
    regulation: regulatoryNotes
  }
}

/** CMP-02: what could not be judged is not verified, and nothing at all proves nothing. */
export const integrityOf = (verification: Verification | null): ChainIntegrityStatus => {
  if (verification === null || verification.error !== null) return "unverified"
  if (verification.results.some(({ verdict }) => verdict === "tampered")) return "failed"
  const judged = verification.results.some(({ rows }) => rows > 0) && verification.authenticated
  return judged && verification.results.every(({ verdict }) => verdict === "ok") ? "verified" : "unverified"
}

const integrityFacts = ({ chains, sealed, tally, verification }: ReportFacts): ReadonlyArray<ReportFact> => [
  fact("Chains read", chains.length),
  fact("Rows in this report", tally.rows),
  fact("Rows whose text cannot be read", tally.unreadableRows),
  fact(
    "Rows that verification could not judge",
    verification === null ? null : verification.results.reduce((sum, { unjudged }) => sum + unjudged, 0)
  ),
  fact("Rows signed by their agent", tally.signed),
  fact("Rows not signed by their agent", tally.rows - tally.signed - tally.signingFailed),
  fact("Rows whose writer should have signed and could not", tally.signingFailed),
  fact("Rows that reached the log late", tally.delayed),
  fact("Sealed values", tally.sealedValues),
  fact("Sealed values whose subject was erased", sealed.erased),
  fact("Sealed values whose key is not at hand here", sealed.unreadable),
  fact("Values lost because no key was at hand", tally.unsealableValues),
  fact("Calls found abandoned", tally.calls.sweptOrphans),
  fact(
    "Keys that sealed the rows",
    tally.rows === 0
      ? null
      : tally.keyIds
          .entries()
          .map(([keyId, count]) => `${keyId} (${count})`)
          .join(", ")
  )
]

const retentionFacts = ({ chains, tally }: ReportFacts): ReadonlyArray<ReportFact> => {
  const pruned = chains.filter(({ firstSeq }) => firstSeq > 1)
  return [
    fact("Oldest row in this report", timeOf(Number.isFinite(tally.firstMs) ? tally.firstMs : null)),
    fact("Newest row in this report", timeOf(Number.isFinite(tally.lastMs) ? tally.lastMs : null)),
    fact("Days between them", tally.rows === 0 ? null : Math.floor((tally.lastMs - tally.firstMs) / 86_400_000)),
    fact("Chains that no longer begin at row 1", pruned.length),
    fact("Segments sealed", tally.retentionKinds.of("audit.segment_sealed")),
    fact("Segments pruned", tally.retentionKinds.of("audit.segment_pruned")),
    fact("Erasures of a subject", tally.retentionKinds.of("audit.subject_erased")),
    fact("Legal holds set", tally.retentionKinds.of("audit.legal_hold_set")),
    fact("Legal holds released", tally.retentionKinds.of("audit.legal_hold_released"))
  ]
}

/** What a reader must not conclude from this report (L-10). */
const notCovered = ({ chains, checkpoint, sealed, tally, verification }: ReportFacts): ReadonlyArray<string> => {
  const beyond = chains.reduce((sum, { coveredTo, lastSeq }) => sum + Math.max(0, lastSeq - coveredTo), 0)
  const truncated = [tally.oversight, tally.violations, tally.references, tally.health].some(({ more }) => more > 0)
  return [
    checkpoint === null
      ? "No checkpoint covers these rows: whoever holds the database and the audit secret could have written them anew."
      : `Rows after checkpoint ${checkpoint.size}: ${beyond} of the rows read. An append-only log cannot show that it is the newest.`,
    ...(verification === null ? ["The chains were not verified for this report."] : []),
    ...(verification === null ? [] : unjudged(verification)),
    ...(chains.some(({ firstSeq }) => firstSeq > 1) ? ["The content of rows that were pruned."] : []),
    ...(tally.sealedValues > sealed.erased
      ? [
          `What sealed values say: there are ${tally.sealedValues - sealed.erased}, and only the keys of their subjects open them.`
        ]
      : []),
    ...(sealed.erased > 0
      ? [`What sealed values of erased subjects said: there are ${sealed.erased}, and nobody can open them any more.`]
      : []),
    ...(truncated ? ["Lists show their first 100 rows; the counts are of all."] : []),
    "Times are those of the clocks of the machines that wrote the rows.",
    "What a hash stands for: the log holds hashes of inputs and outputs, not the texts."
  ]
}

const unjudged = ({ authenticated, error, results }: Verification): ReadonlyArray<string> => {
  if (error !== null) return [`The chains could not be verified for this report: ${error}.`]
  if (!authenticated) return ["Who wrote the rows was not checked: the audit secret was not at hand."]
  const rows = results.reduce((sum, result) => sum + result.unjudged, 0)
  return rows === 0
    ? []
    : [`Who wrote ${rows} of the rows: they were sealed or signed with keys that were not at hand.`]
}

const timeOf = (ms: number | null) => (ms === null ? null : isoOf(ms))
