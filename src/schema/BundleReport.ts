import { Hex } from "effect/encoding"
import { type BundleFacts, BundleVerification } from "./Bundle.ts"
import { canonicalFile } from "./BundleText.ts"
import type { Findings } from "./BundleVerdict.ts"
import { canonicalize } from "./CanonicalJson.ts"
import { ComplianceReport } from "./ComplianceReport.ts"
import { reportIdText } from "./ReportText.ts"

/**
 * Whether the report is the one that the manifest names and says the same of scope, checkpoint and gaps; and what whoever made
 * the bundle found in the chains: with the audit secret he sees more than a stranger can (L-10).
 */
export const checkReport = (
  files: ReadonlyMap<string, Uint8Array>,
  bundle: BundleFacts,
  found: Findings,
  hash: (text: string) => Uint8Array
): void => {
  const report = canonicalFile(files.get("report.json"), ComplianceReport)
  if (report === undefined) found.problem("report.json: cannot be read")
  else {
    const id = Hex.encode(hash(reportIdText(report)))
    if (id !== report.reportId) found.problem("report.json: its id is not that of its content")
    if (canonicalize({ ...bundle, ...factsIn(report) }) !== canonicalize(bundle)) {
      found.problem("manifest.json: says something else than the report")
    }
  }
  if (bundle.chainIntegrityStatus === "failed") {
    found.problem("report.json: whoever made this bundle found its chains tampered with, and says where")
  }
  const verification = files.get("chainVerification.json")
  if (verification !== undefined && canonicalFile(verification, BundleVerification) === undefined) {
    found.problem("chainVerification.json: cannot be read")
  }
}

/** What the manifest repeats of a report. */
export const factsIn = (report: ComplianceReport) => ({
  deploymentId: report.deploymentId,
  createdAt: report.generatedAt,
  scope: { agentId: report.agentId, sessionIds: report.sessionIds, ...report.dateRange },
  covers: report.checkpoint,
  notCovered: [report.coverageCaveat, ...report.notCovered],
  reportId: report.reportId,
  chainIntegrityStatus: report.chainIntegrityStatus,
  chainVerificationError: report.chainVerificationError
})
