import { Schema } from "effect"
import { ChainIntegrityStatus, CoveredCheckpoint } from "./ComplianceReport.ts"

/** `ok`: it is what the holder of the given key signed. `otherIdentity`: it is whole, and somebody else signed it. */
export const BundleJudgement = Schema.Literals(["ok", "tampered", "otherIdentity", "unverifiable"])
export type BundleJudgement = typeof BundleJudgement.Type

/** What a stranger learns of a bundle, and what he does not (L-10). */
export const BundleVerdict = Schema.Struct({
  verdict: BundleJudgement,
  /** What contradicts the bundle; the first hundred. */
  problems: Schema.Array(Schema.String),
  moreProblems: Schema.Int,
  /** What would be needed to say more. */
  missing: Schema.Array(Schema.String),
  notCovered: Schema.Array(Schema.String),
  rows: Schema.Int,
  chains: Schema.Int,
  signedRows: Schema.Int,
  covers: Schema.NullOr(CoveredCheckpoint),
  /** How the chains stood when the bundle was made, by whoever made it. */
  exporterFound: Schema.NullOr(ChainIntegrityStatus),
  /** C2SP verifier key of whoever signed the manifest, as the bundle names it. */
  signedBy: Schema.NullOr(Schema.String)
})
export type BundleVerdict = typeof BundleVerdict.Type

/** Gathers what the steps of a check find. */
export class Findings {
  readonly problems: Array<string> = []
  readonly missing: Array<string> = []
  readonly notCovered: Array<string> = []
  moreProblems = 0
  otherIdentity = false

  problem(text: string): void {
    if (this.problems.length < 100) this.problems.push(text)
    else this.moreProblems++
  }

  /** A contradiction outweighs a stranger's key, and that outweighs what is not known. */
  get verdict(): BundleJudgement {
    if (this.problems.length > 0) return "tampered"
    if (this.otherIdentity) return "otherIdentity"
    return this.missing.length > 0 ? "unverifiable" : "ok"
  }
}

/** Exit codes of `verify-bundle` (DEC-20). */
export const bundleExitCodes: Readonly<Record<BundleJudgement, 0 | 1 | 3 | 4>> = {
  ok: 0,
  tampered: 1,
  otherIdentity: 3,
  unverifiable: 4
}
