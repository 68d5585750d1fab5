import { Hex } from "effect/encoding"
import type { BundleChain, BundleFacts, BundleProofs, SignedBy } from "../schema/Bundle.ts"
import type { Examined } from "./Compliance.ts"

/** What `proofs.json` says: for each chain its last leaf under the checkpoint, and the way from it to the root. */
export const proofsOf = (
  { checkpoint, leaves }: Examined,
  proofs: ReadonlyArray<ReadonlyArray<Uint8Array>>
): BundleProofs =>
  checkpoint === null
    ? null
    : {
        leaves: leaves.map(({ chain, hash, index, seq }, i) => ({
          chain,
          hash: Hex.encode(hash),
          index,
          proof: (proofs[i] ?? []).map((node) => Hex.encode(node)),
          seq
        })),
        origin: checkpoint.body.origin,
        root: Hex.encode(checkpoint.body.root),
        size: checkpoint.body.size
      }

/** What the manifest says and the signatures cover. */
export const factsOf = (
  { report }: Examined,
  chains: ReadonlyArray<BundleChain>,
  files: BundleFacts["files"],
  signedBy: ReadonlyArray<SignedBy>
): BundleFacts => ({
  format: "effect-governance/bundle",
  version: 1,
  deploymentId: report.deploymentId,
  createdAt: report.generatedAt,
  scope: { agentId: report.agentId, sessionIds: report.sessionIds, ...report.dateRange },
  chains,
  rows: chains.reduce((sum, { rows }) => sum + rows, 0),
  covers: report.checkpoint,
  notCovered: [report.coverageCaveat, ...report.notCovered],
  reportId: report.reportId,
  chainIntegrityStatus: report.chainIntegrityStatus,
  chainVerificationError: report.chainVerificationError,
  files: [...files].sort((a, b) => (a.name < b.name ? -1 : 1)),
  signedBy
})
