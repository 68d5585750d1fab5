import type { KeyObject } from "node:crypto"
import { Effect, Option } from "effect"
import { type AgentKey, possessionText } from "../schema/AgentKey.ts"
import { type Digest, labels, type Verifier } from "../schema/Chain.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import {
  type KnownKeys,
  knownKeys,
  namesKey,
  type SignatureStatus,
  type SignatureVerdict,
  verdictAfter,
  verdictBefore
} from "../schema/SignatureStatus.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AgentKeyStore } from "./AgentKeyStore.ts"
import { areSigned, type SignedText } from "./Ed25519.ts"
import { Identity, type Signers } from "./Identity.ts"
import { possession } from "./KeyPossession.ts"
import * as LoggedRevocations from "./LoggedRevocations.ts"

export type Verdicts = ReadonlyMap<ChainRow, SignatureVerdict>

/** Judges signatures with the keys that were registered when it was made: one for each verification. */
export interface SignatureJudge {
  readonly keys: KnownKeys
  /** The verdict on every row that names a key; undefined, and nothing done, where none does. */
  readonly judge: (rows: ReadonlyArray<ChainRow>) => Effect.Effect<Verdicts> | undefined
}

/**
 * A judge for the verification that begins. Null where no registry is at hand: signatures then stay unjudged. What the registry
 * says is believed of a key only if its fingerprint, its form and its proof of possession agree with it, and never that it is
 * still good when the log says that it was revoked.
 */
export const make = Effect.fnUntraced(function* (
  hash: Digest,
  logged: Effect.Effect<LoggedRevocations.LoggedRevocations, StoreError> = Effect.succeed(LoggedRevocations.none)
) {
  const identity = yield* Identity
  const registry = yield* Effect.serviceOption(AgentKeyStore)
  return Option.match(registry, {
    onNone: (): Effect.Effect<SignatureJudge | null, StoreError> => Effect.succeed(null),
    onSome: (store) =>
      Effect.gen(function* () {
        const [keys, deploymentId] = yield* Effect.all([store.list, store.deploymentId])
        const revoked = keys.length === 0 ? LoggedRevocations.none : yield* logged
        const possessed = possession(hash, deploymentId)
        // A key that nobody proved to have says nothing of the agent, not even that it had one.
        const sound = keys.map((key) => LoggedRevocations.heed(key, revoked)).filter((key) => possessed(key) !== null)
        return judgeOf(knownKeys(sound), possessed, (fingerprint) => ownKey(identity, deploymentId, fingerprint))
      })
  })
})

export const noVerdicts: Verdicts = new Map()

/** The verdicts as `checkRow` asks for them; without a judge it asks nobody. */
export const signatureOf = (judge: SignatureJudge | null, verdicts: Verdicts): Verifier["signature"] =>
  judge === null ? undefined : (_fingerprint, _text, _signature, row) => verdicts.get(row) ?? "unknown"

export const count = (counts: Map<SignatureStatus, number>, status: SignatureStatus) =>
  counts.set(status, (counts.get(status) ?? 0) + 1)

const judgeOf = (
  keys: KnownKeys,
  soundKey: (key: AgentKey) => KeyObject | null,
  own: (fingerprint: string) => AgentKey | undefined
): SignatureJudge => {
  /** A key of this process may have come into use after the registry was read. */
  const keyOf = (fingerprint: string | null): AgentKey | undefined => {
    if (fingerprint === null || keys.byFingerprint.has(fingerprint)) return keys.byFingerprint.get(fingerprint ?? "")
    const found = own(fingerprint)
    if (found !== undefined) keys.byFingerprint.set(fingerprint, found)
    return found
  }

  const judge = Effect.fnUntraced(function* (rows: ReadonlyArray<ChainRow>) {
    const verdicts = new Map<ChainRow, SignatureVerdict>()
    const open: Array<SignedText & { readonly row: ChainRow }> = []
    for (const row of rows) {
      if (!namesKey(row)) continue
      const known = keyOf(row.signer)
      const key = known === undefined ? null : soundKey(known)
      const verdict = key === null ? "unknown" : verdictBefore(row, keys)
      if (verdict !== undefined || key === null || row.signature === null) verdicts.set(row, verdict ?? "invalid")
      else open.push({ row, key, text: labels.signature + row.canonical, signature: row.signature })
    }
    const fits = yield* areSigned(open)
    open.forEach(({ row }, i) => {
      verdicts.set(row, fits[i] === true ? verdictAfter(row, keys) : "invalid")
    })
    return verdicts
  })
  return { keys, judge: (rows) => (rows.some(namesKey) ? judge(rows) : undefined) }
}

/** What this process signs with, for the time until the registry knows it. */
const ownKey = (identity: Signers, deploymentId: string, fingerprint: string): AgentKey | undefined => {
  const signer = identity.signers().find((one) => one.fingerprint === fingerprint)
  if (signer === undefined) return undefined
  const { agentId, publicKey } = signer
  return {
    agentId,
    fingerprint: signer.fingerprint,
    publicKey,
    proof: signer.sign(possessionText(agentId, publicKey, deploymentId)),
    activationSeq: 0,
    registeredAtMs: Number.POSITIVE_INFINITY,
    revocation: null
  }
}
