/**
 * The HKDF-SHA-256 `info` (RFC 5869, no salt, 32 bytes) of the sub-key for one purpose: a MAC made for one purpose proves
 * nothing for another (K-02, A-11), and the secret itself is never a key. Another label invalidates what the old one made.
 */
export const subkeyInfo = (purpose: string): string => `effect-governance/v1/${purpose}`

/** What this library derives keys for. `audit` seals rows, `fingerprint` names the secret. */
export const subkeyPurposes = [
  "audit",
  "fingerprint",
  "gate-token",
  "approval-row",
  "spool",
  "rotation-marker",
  "rotation-handover",
  "coverage-host"
] as const
export type SubkeyPurpose = (typeof subkeyPurposes)[number]

/** What stands first in every text that is hashed or signed, so that no two kinds of it can have equal bytes. */
export const domainLabels = {
  actionHash: "effect-governance/action/v1/hash\n",
  eventId: "effect-governance/event-id/v1/hash\n",
  inputHash: "effect-governance/input/v1/hash\n",
  gateToken: "effect-governance/gate-token/v2/mac\n",
  approvalRow: "effect-governance/approval-row/v1/mac\n",
  rotationMarker: "effect-governance/rotation-marker/v1/mac\n",
  rotationHandover: "effect-governance/rotation-handover/v1/aad\n",
  possession: "effect-governance/key-possession/v1/signature\n",
  prompt: "effect-governance/prompt/v1/hash\n",
  coverageHost: "effect-governance/coverage-host/v1/mac\n",
  sealedValue: "effect-governance/sealed/v1/aad\n"
} as const
