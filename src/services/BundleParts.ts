import { Hex } from "effect/encoding"
import type { BundleChain, BundleFacts, BundleProofs, BundleVerification, SignedBy } from "../schema/Bundle.ts"
import { factsIn } from "../schema/BundleReport.ts"
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

/** What `chainVerification` says. A verification that could not be done found nothing; why is in the manifest. */
export const verificationOf = ({ verification }: Examined): BundleVerification => ({
  authenticated: verification?.authenticated ?? false,
  breaks: verification?.breaks ?? 0,
  chains: verification?.results ?? [],
  findings: verification?.findings ?? []
})

/** What the manifest says and the signatures cover. */
export const factsOf = (
  { report }: Examined,
  chains: ReadonlyArray<BundleChain>,
  files: BundleFacts["files"],
  signedBy: ReadonlyArray<SignedBy>
): BundleFacts => ({
  format: "effect-governance/bundle",
  version: 1,
  ...factsIn(report),
  chains,
  rows: chains.reduce((sum, { rows }) => sum + rows, 0),
  files: [...files].sort((a, b) => (a.name < b.name ? -1 : 1)),
  signedBy
})
