import { Option, Schema } from "effect"
import { Hex } from "effect/encoding"
import { canonicalize } from "./CanonicalJson.ts"
import { type Digest, sameBytes } from "./Chain.ts"
import type { ChainHead, ChainRow } from "./Envelope.ts"
import { parseEnvelope } from "./EnvelopeText.ts"
import { type ChainId, type EventId, KeyId, operatorChain } from "./Ids.ts"
import { domainLabels } from "./Subkeys.ts"

/** The one row of chain `operator` that says from where on another key seals the log (DEC-21, OQ-06). */
export const markerKind = "audit.chain_key_rotated"

/** One hand-over: nothing that was made for one rotation of one deployment fits another. */
export interface Handover {
  readonly deploymentId: string
  readonly version: number
  readonly from: KeyId
  readonly to: KeyId
}

/** What the encrypted secret is bound to. */
export const handoverText = ({ deploymentId, from, to, version }: Handover): string =>
  domainLabels.rotationHandover + canonicalize({ deploymentId, from, to, version })

/** What the marker says. The row itself is sealed under `from`; `hmacNext` is made with `to`, so that both keys agree (ROT-03). */
export const RotationMarker = Schema.Struct({
  version: Schema.Int,
  from: KeyId,
  to: KeyId,
  handedOver: Schema.Boolean,
  by: Schema.String,
  reason: Schema.NullOr(Schema.String),
  hmacNext: Schema.String
})
export type RotationMarker = typeof RotationMarker.Type

/** The marker's place: it proves nothing anywhere else (K-04). */
export interface MarkerPlace {
  readonly chain: ChainId
  readonly seq: number
  readonly prev: Uint8Array | null
  readonly id: EventId
}

export const placeAfter = (head: ChainHead, id: EventId): MarkerPlace => ({
  chain: operatorChain,
  seq: head.seq + 1,
  prev: head.hash,
  id
})

/** What `hmacNext` covers: the rotation and its place. */
export const markerText = (
  { chain, id, prev, seq }: MarkerPlace,
  { from, to, version }: Omit<Handover, "deploymentId">
): string =>
  domainLabels.rotationMarker +
  canonicalize({ chain, from, id, prev: prev === null ? null : Hex.encode(prev), seq, to, version })

/** Why a marker is not believed, in the words of ROT-07. */
export type MarkerFault =
  | "rotation_marker_dual_mac_failed"
  | "rotation_marker_no_incoming_key"
  | "rotation_marker_without_key_versions"
  | `rotation_marker_unresolved_incoming:${string}`

export const isMarker = (row: Pick<ChainRow, "chain" | "kind">): boolean =>
  row.kind === markerKind && row.chain === operatorChain

/** What the row says, if it says it in full; nothing is proved by that. */
export const markerOf = (row: ChainRow): Option.Option<RotationMarker> =>
  Option.flatMap(parseEnvelope(row.canonical), ({ metadata }) => decodeMarker(metadata))

/** Judges the incoming key's half of the proof; the outgoing key's half is the row's own HMAC. Null: nothing is wrong. */
export const checkMarker = (row: ChainRow, incomingMac: (keyId: KeyId) => Digest | undefined): MarkerFault | null => {
  const metadata = Option.getOrUndefined(Option.map(parseEnvelope(row.canonical), (envelope) => envelope.metadata))
  if (!hasIncoming(metadata)) return "rotation_marker_no_incoming_key"
  const marker = decodeMarker(metadata)
  // The key that sealed the marker is the one that it takes out of use.
  if (Option.isNone(marker) || marker.value.from !== row.keyId) return "rotation_marker_without_key_versions"
  const mac = incomingMac(marker.value.to)
  if (mac === undefined) return `rotation_marker_unresolved_incoming:${fp16(marker.value.to)}`
  const expected = Hex.encode(mac(markerText(row, marker.value)))
  return sameBytes(encoder.encode(expected), encoder.encode(marker.value.hmacNext))
    ? null
    : "rotation_marker_dual_mac_failed"
}

/** The first 16 hex digits of a key id, as people see it (ROT-04). */
export const fp16 = (keyId: string): string => keyId.slice(0, 16)

const encoder = new TextEncoder()
const decodeMarker = Schema.decodeUnknownOption(RotationMarker)
const hasIncoming = Schema.is(Schema.Struct({ to: KeyId, hmacNext: Schema.String }))
