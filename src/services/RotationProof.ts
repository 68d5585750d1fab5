import { Option } from "effect"
import { checkRow } from "../schema/Chain.ts"
import type { ChainKeyVersion } from "../schema/ChainKeyVersion.ts"
import type { ChainBreak } from "../schema/ChainReport.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import type { KeyId } from "../schema/Ids.ts"
import { checkMarker, fp16, isMarker, markerOf } from "../schema/RotationMarker.ts"
import type { ChainKeys } from "./ChainKeys.ts"

/** The mark of a row under a key that a marker had taken out of use: this long after it, every process has heard (K-03). */
export const retiredKeyGraceMs = 600_000

/**
 * What is wrong with a row as a rotation marker; nothing when it is none, or when the key that sealed it is not here, which
 * `checkRow` says already.
 */
export const markerBreaks = (
  row: ChainRow,
  { macFor, macWith }: Pick<ChainKeys["Service"], "macFor" | "macWith">
): ReadonlyArray<ChainBreak> => {
  if (!isMarker(row) || macFor(row.keyId) === undefined) return none
  const reason = checkMarker(row, (keyId) => macWith(keyId, "rotation-marker"))
  if (reason === null) return none
  const place = { chain: row.chain, seq: row.seq, reason }
  const incoming = Option.map(markerOf(row), ({ to }) => to)
  return reason.startsWith("rotation_marker_unresolved_incoming") && Option.isSome(incoming)
    ? [{ ...place, problem: "unknownKey", keyId: incoming.value }]
    : [{ ...place, problem: "rotation" }]
}

/** Whether the marker proves, under both keys, that this version follows the one before. */
export const proves = (
  row: ChainRow,
  next: ChainKeyVersion,
  keys: Pick<ChainKeys["Service"], "hash" | "macFor" | "macWith">
): boolean => {
  const marker = Option.getOrUndefined(markerOf(row))
  return (
    isMarker(row) &&
    marker?.version === next.version &&
    marker.from === next.previous &&
    marker.to === next.keyId &&
    checkRow(row, undefined, { hash: keys.hash, macFor: keys.macFor }).length === 0 &&
    checkMarker(row, (keyId) => keys.macWith(keyId, "rotation-marker")) === null
  )
}

/** When each key was taken out of use, by the markers of the log itself. */
export type Retirements = Map<KeyId, number>

/** Adds what a row says of it; most say nothing. */
export const retire = (known: Retirements, row: ChainRow): Retirements => {
  const marker = isMarker(row) ? Option.getOrUndefined(markerOf(row)) : undefined
  return marker === undefined ? known : known.set(marker.from, row.atMs)
}

/** By the time that the writer wrote into it: evidence of a writer that was left behind, none against one that lies (K-08). */
export const isLate = (row: ChainRow, retired: ReadonlyMap<KeyId, number>): boolean => {
  const since = retired.size === 0 ? undefined : retired.get(row.keyId)
  return since !== undefined && row.atMs > since + retiredKeyGraceMs
}

/** What was found first, in the words of ROT-07; findings that it has no word for go by their own name. */
export const reasonOf = (found: ChainBreak, row: ChainRow): string => {
  if (found.reason !== undefined) return found.reason
  if (found.problem === "hmac") return "hmac_mismatch"
  return found.problem === "unknownKey" ? `unresolved_key:${fp16(row.keyId)}` : found.problem
}

const none: ReadonlyArray<ChainBreak> = []
