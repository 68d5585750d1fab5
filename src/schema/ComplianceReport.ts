import { Schema } from "effect"
import { RegulatoryNote } from "./Regulation.ts"

/**
 * How much evidence a section has (CMP-06, OQ-10): `compliant`: present for the window, in verified chains. `partial`: some,
 * or the chains were not verified. `non_compliant`: none, or a chain failed. It speaks of the evidence in this report and
 * never of a deployment (CMP-11); what people read is `statusMeaning`.
 */
export const SectionStatus = Schema.Literals(["compliant", "partial", "non_compliant"])
export type SectionStatus = typeof SectionStatus.Type

export const statusMeanings: Readonly<Record<SectionStatus, string>> = {
  compliant: "evidence present",
  partial: "partial evidence",
  non_compliant: "no usable evidence"
}

const Value = Schema.Union([Schema.String, Schema.Finite, Schema.Null])
export const ReportFact = Schema.Struct({ label: Schema.String, value: Value })
export type ReportFact = typeof ReportFact.Type

/** `more`: how many rows there are beyond those listed. */
export const ReportTable = Schema.Struct({
  title: Schema.String,
  columns: Schema.Array(Schema.String),
  rows: Schema.Array(Schema.Array(Value)),
  more: Schema.Int
})
export type ReportTable = typeof ReportTable.Type

/** Every text in `data` that comes from the log has passed `shownText`. */
export const ReportSection = Schema.Struct({
  title: Schema.String,
  description: Schema.String,
  data: Schema.Array(Schema.Union([ReportFact, ReportTable])),
  status: SectionStatus,
  statusMeaning: Schema.String
})
export type ReportSection = typeof ReportSection.Type

/** CMP-02. */
export const ChainIntegrityStatus = Schema.Literals(["verified", "failed", "unverified"])
export type ChainIntegrityStatus = typeof ChainIntegrityStatus.Type

/** The checkpoint that a report or a bundle covers up to. */
export const CoveredCheckpoint = Schema.Struct({ origin: Schema.String, size: Schema.Int, root: Schema.String })
export type CoveredCheckpoint = typeof CoveredCheckpoint.Type

/** What was asked, what was found, and how far that can be trusted (CMP-01). */
export const ComplianceReport = Schema.Struct({
  /** SHA-256 in hex of what `reportIdText` makes of the rest: the same rows give the same id. */
  reportId: Schema.String,
  /** The moment asked for, else the time of the newest row in the report; null when it has neither. */
  generatedAt: Schema.NullOr(Schema.String),
  format: Schema.Literals(["article12", "summary"]),
  deploymentId: Schema.NullOr(Schema.String),
  agentId: Schema.NullOr(Schema.String),
  /** Null: every session. */
  sessionIds: Schema.NullOr(Schema.Array(Schema.String)),
  /** ISO 8601 in UTC; null is open. */
  dateRange: Schema.Struct({ from: Schema.NullOr(Schema.String), to: Schema.NullOr(Schema.String) }),
  timezone: Schema.Literal("UTC"),
  sections: Schema.Array(ReportSection),
  chainIntegrityStatus: ChainIntegrityStatus,
  /** What verification found, or why it could not be done; empty when it was not asked for. */
  chainFindings: Schema.Array(Schema.String),
  chainVerificationError: Schema.NullOr(Schema.String),
  /** Each row is judged by the key that its own text names, so rotated keys need no special reading (CMP-05). */
  rotationAware: Schema.Boolean,
  coverageCaveat: Schema.String,
  /** 0.0 to 1.0, or null with the reason beside it; never left out (CMP-04). */
  coveragePct: Schema.NullOr(Schema.Finite),
  coveragePctReason: Schema.NullOr(Schema.Literals(["no_scope_policies_registered", "registry_disabled", "ok"])),
  checkpoint: Schema.NullOr(CoveredCheckpoint),
  integrity: Schema.Array(ReportFact),
  orphans: ReportTable,
  retention: Schema.Array(ReportFact),
  notCovered: Schema.Array(Schema.String),
  regulation: Schema.Array(RegulatoryNote)
})
export type ComplianceReport = typeof ComplianceReport.Type

/** CMP-03. */
export const coverageCaveat =
  "This report covers only what went through the governed calls and wrappers of effect-governance. A call that an application made with a model client or a tool directly left no row, and is not in it."

/** CMP-11. */
export const evidenceOnly =
  "This report is evidence of what was recorded. It is no legal opinion and does not say that a system or its operator meets any law."
