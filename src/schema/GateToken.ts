import { Result, Schema } from "effect"
import { ActionHash, GateRequestId } from "./GateRequest.ts"
import type { KeyId } from "./Ids.ts"
import { isoOf } from "./Instant.ts"
import { domainLabels } from "./Subkeys.ts"

/** What a token says of itself; none of it counts before its MAC does. */
export interface GateToken {
  readonly version: 1 | 2
  /** The first 16 hex digits of the key's id; null in version 1. */
  readonly keyPrefix: string | null
  readonly requestId: GateRequestId
  readonly actionHash: ActionHash
  readonly expiresAt: string
  /** Everything before the MAC, as it stands in the token. */
  readonly signed: string
  readonly mac: string
}

/** Facts of a request that its token carries. */
export interface TokenFacts {
  readonly keyId: KeyId
  readonly requestId: GateRequestId
  readonly actionHash: ActionHash
  readonly expiresAtMs: number
}

/** The purpose of the HKDF sub-key, and the text under it: the label, the deployment, then the token up to its MAC (OQ-04, DEC-09). */
export const tokenPurpose = "gate-token"
export const macInput = (deployment: string, signed: string): string =>
  `${domainLabels.gateToken}${deployment}\n${signed}`

/** `v2:<fp16>:<request>:<action hash>:<ISO expiry>:` without the MAC. */
export const signedPart = ({ actionHash, expiresAtMs, keyId, requestId }: TokenFacts): string =>
  `v2:${keyId.slice(0, 16)}:${requestId}:${actionHash}:${isoOf(expiresAtMs)}`

/**
 * Splits a token from both ends, since the ISO part holds colons. One spelling only: lower-case hex, full length, milliseconds
 * and `Z`; whatever else is no token (T-01, T-10).
 */
export const parseToken = (text: string): Result.Result<GateToken, "malformed"> => {
  if (text.length > 300) return Result.fail("malformed")
  const v2 = second.exec(text)
  const found = v2 ?? first.exec(text)
  if (found === null) return Result.fail("malformed")
  const [, prefix, request, action, expiresAt, mac] = v2 === null ? [null, null, ...found.slice(1)] : found
  if (!isRequest(request) || !isHash(action) || typeof expiresAt !== "string" || typeof mac !== "string") {
    return Result.fail("malformed")
  }
  return Result.succeed({
    version: v2 === null ? 1 : 2,
    keyPrefix: prefix ?? null,
    requestId: request,
    actionHash: action,
    expiresAt,
    signed: text.slice(0, text.length - mac.length - 1),
    mac
  })
}

const uuid = "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
const iso = "(\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z)"
const second = new RegExp(`^v2:([0-9a-f]{16}):${uuid}:([0-9a-f]{64}):${iso}:([0-9a-f]{64})$`)
const first = new RegExp(`^${uuid}:([0-9a-f]{64}):${iso}:([0-9a-f]{64})$`)
const isRequest = Schema.is(GateRequestId)
const isHash = Schema.is(ActionHash)
