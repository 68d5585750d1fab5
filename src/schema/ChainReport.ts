import { Schema } from "effect"
import { SignatureCounts } from "./SignatureStatus.ts"

/**
 * What is wrong with a row. `text`: the canonical text is no envelope. `column`: a column says something else than the text.
 * `hash`: the text was changed after it was hashed. `gap`, `link`: the row does not follow the one before. `hmac`,
 * `signature`: whoever wrote it had not the key, or a signature was taken away. `revokedKey`: it was signed after its key had
 * been revoked. `head`: the chain ends elsewhere than its head says. `rotation`: the incoming key does not bear the rotation out.
 * `unknownKey`, `unknownSigner`: the key to judge it is not here, which is no evidence of tampering (K-06).
 */
export const ChainProblem = Schema.Literals([
  "text",
  "column",
  "hash",
  "gap",
  "link",
  "hmac",
  "signature",
  "revokedKey",
  "rotation",
  "head",
  "unknownKey",
  "unknownSigner"
])
export type ChainProblem = typeof ChainProblem.Type

/** One finding at one row. */
export const ChainBreak = Schema.Struct({
  chain: Schema.String,
  seq: Schema.Int,
  problem: ChainProblem,
  column: Schema.optionalKey(Schema.String),
  /** What is wrong with a rotation marker, in the words of ROT-07. */
  reason: Schema.optionalKey(Schema.String),
  /** The key that is missing, where it is not the row's own. */
  keyId: Schema.optionalKey(Schema.String)
})
export type ChainBreak = typeof ChainBreak.Type

export const ChainVerdict = Schema.Literals(["ok", "tampered", "unverifiable"])
export type ChainVerdict = typeof ChainVerdict.Type

/** The beginning of a chain that was pruned under seals of chain `operator`: what is left is checked from its end on. */
export const PrunedRange = Schema.Struct({
  toSeq: Schema.Int,
  /** Of the newest seal's row in chain `operator`. */
  sealSeq: Schema.Int
})
export type PrunedRange = typeof PrunedRange.Type

/** The row by which a session ended, and how many came after it: late outcomes may, so it is no sign of tampering. */
export const ClosedSession = Schema.Struct({ seq: Schema.Int, rowsAfter: Schema.Int })
export type ClosedSession = typeof ClosedSession.Type

/** One chain, checked from its first row to its head. */
export const ChainResult = Schema.Struct({
  chain: Schema.String,
  rows: Schema.Int,
  /** The last row present; 0 when there is none. */
  lastSeq: Schema.Int,
  verdict: ChainVerdict,
  /** Rows that could not be judged because a key is missing. */
  unjudged: Schema.Int,
  /** Absent when the chain still begins with its first row. */
  pruned: Schema.optionalKey(PrunedRange),
  /** Absent when the session was never closed. */
  closed: Schema.optionalKey(ClosedSession)
})
export type ChainResult = typeof ChainResult.Type

/** Every chain with every break, as reports, the CLI and the console show it. */
export const ChainReport = Schema.Struct({
  verdict: ChainVerdict,
  rows: Schema.Int,
  chains: Schema.Array(ChainResult),
  /** Signs of tampering, all of them. Rows that merely lack a key are counted in `unjudged`. */
  breaks: Schema.Array(ChainBreak),
  /** Of the keys that are not here, and of the signers, the first thousand (ROT-05). */
  unresolvedKeyIds: Schema.Array(Schema.String),
  unresolvedSigners: Schema.Array(Schema.String),
  /** Rows by what their signatures say (IDN-05); left out where no registry of keys was at hand. */
  signatures: Schema.optionalKey(SignatureCounts),
  /** False when no secret was at hand: columns, hashes and links were checked, authorship was not. */
  authenticated: Schema.Boolean,
  /** Every row was judged under the key that it names, and markers under both of theirs (ROT-09). */
  rotationAware: Schema.Boolean,
  /** What was found first, in the words of ROT-07. */
  firstFailureReason: Schema.NullOr(Schema.String),
  /** Rows under a key that had been taken out of use ten minutes before, by their own time: a process was left behind (K-03). */
  late: Schema.Struct({
    rows: Schema.Int,
    first: Schema.Array(Schema.Struct({ chain: Schema.String, seq: Schema.Int, keyId: Schema.String }))
  })
})
export type ChainReport = typeof ChainReport.Type

export const isTampering = (found: ChainBreak): boolean =>
  found.problem !== "unknownKey" && found.problem !== "unknownSigner"

export const verdictOf = (breaks: number, unjudged: number): ChainVerdict =>
  breaks > 0 ? "tampered" : unjudged > 0 ? "unverifiable" : "ok"

/** Tampering outweighs what could not be judged. */
export const worst = (verdicts: Iterable<ChainVerdict>): ChainVerdict => {
  let result: ChainVerdict = "ok"
  for (const verdict of verdicts) {
    if (verdict === "tampered") return verdict
    if (verdict === "unverifiable") result = verdict
  }
  return result
}

/** The exit code of a verification (DEC-20): 0 ok, 1 tampered, 4 unverifiable. */
export const exitCodeOf = (verdict: ChainVerdict): 0 | 1 | 4 => (verdict === "ok" ? 0 : verdict === "tampered" ? 1 : 4)
