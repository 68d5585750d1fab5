/**
 * What the audit secret may become: one HKDF-SHA-256 sub-key per purpose (K-02), so that a MAC made for one purpose proves
 * nothing for another. The secret itself is never used as a key. Changing a label here invalidates what it made.
 */
export const subkeyLabels = {
  auditHmac: "effect-governance/subkey/v1/audit-hmac",
  keyFingerprint: "effect-governance/subkey/v1/key-fingerprint",
  inputHash: "effect-governance/subkey/v1/input-hash",
  gateToken: "effect-governance/subkey/v1/gate-token",
  approvalRow: "effect-governance/subkey/v1/approval-row",
  spool: "effect-governance/subkey/v1/spool",
  consoleSession: "effect-governance/subkey/v1/console-session",
  consoleCsrf: "effect-governance/subkey/v1/console-csrf",
  webhook: "effect-governance/subkey/v1/webhook"
} as const
export type SubkeyPurpose = keyof typeof subkeyLabels

/** What stands first in every text that is hashed or signed, so that no two kinds of it can have equal bytes. */
export const domainLabels = {
  actionHash: "effect-governance/action/v1/hash\n",
  eventId: "effect-governance/event-id/v1/hash\n",
  inputHash: "effect-governance/input/v1/hash\n",
  gateToken: "effect-governance/gate-token/v2/mac\n",
  approvalRow: "effect-governance/approval-row/v1/mac\n",
  possession: "effect-governance/key-possession/v1/signature\n",
  sealedValue: "effect-governance/sealed/v1/aad\n"
} as const

/** HMAC-SHA-256, synchronous, so that one copy serves every platform. */
export type HmacSha256 = (key: Uint8Array, data: Uint8Array) => Uint8Array

/** The 32-byte sub-key of a purpose. The secret MUST have passed `checkSecretStrength`. */
export const subkey = (hmac: HmacSha256, secret: Uint8Array, purpose: SubkeyPurpose): Uint8Array =>
  hkdfSha256(hmac, { secret, salt: subkeySalt, info: utf8.encode(subkeyLabels[purpose]), size: 32 })

/** RFC 5869 extract and expand. At most 8160 bytes (255 blocks); asking for more is a bug, so it throws. */
export const hkdfSha256 = (
  hmac: HmacSha256,
  options: {
    readonly secret: Uint8Array
    readonly salt: Uint8Array
    readonly info: Uint8Array
    readonly size: number
  }
): Uint8Array => hkdfExpand(hmac, hmac(options.salt, options.secret), options.info, options.size)

/** RFC 5869, 2.3, from a pseudo-random key. */
export const hkdfExpand = (hmac: HmacSha256, key: Uint8Array, info: Uint8Array, size: number): Uint8Array => {
  if (size > 255 * 32) throw new RangeError("HKDF-SHA-256 gives at most 8160 bytes")
  const output = new Uint8Array(size)
  let block = new Uint8Array(0)
  for (let done = 0, counter = 1; done < size; counter++) {
    const input = new Uint8Array(block.length + info.length + 1)
    input.set(block)
    input.set(info, block.length)
    input[input.length - 1] = counter
    block = Uint8Array.from(hmac(key, input))
    output.set(block.subarray(0, size - done), done)
    done += block.length
  }
  return output
}

const utf8 = new TextEncoder()
const subkeySalt = utf8.encode("effect-governance/subkey/v1")
