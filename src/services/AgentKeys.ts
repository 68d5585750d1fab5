import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  type AgentKey,
  type AgentKeyFingerprint,
  checkPublicKey,
  fingerprintOf,
  possessionText
} from "../schema/AgentKey.ts"
import { AgentKeyRefused } from "../schema/AgentKeyError.ts"
import { AgentId, EventId, OperatorId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { JsonObject } from "../schema/Json.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AgentKeyStore } from "./AgentKeyStore.ts"
import { decodeArgument } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { AuditStore } from "./AuditStore.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { isSignedBy, publicKeyFrom } from "./Ed25519.ts"
import { type AgentSigner, Identity } from "./Identity.ts"
import { possession } from "./KeyPossession.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { StoreTransaction } from "./StoreTransaction.ts"

export interface Registration {
  readonly agentId: string
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array
  /** The signature over `challenge`. */
  readonly proof: Uint8Array
  readonly by: string
}

export interface Revocation {
  readonly reason: string
  readonly by: string
  /** False revokes even if the log does not take the row that says so (IDN-07). Default true. */
  readonly strictChain?: boolean | undefined
}

/** The registry of agents' public keys: who may sign as whom, since when, and until when (IDN-06). */
export class AgentKeys extends Context.Service<
  AgentKeys,
  {
    /** Those that their owners proved to have, revoked ones included. */
    readonly list: Effect.Effect<ReadonlyArray<AgentKey>, StoreError>
    /** The text that the owner of a key signs to register it. */
    readonly challenge: (
      agentId: string,
      publicKey: Uint8Array
    ) => Effect.Effect<string, InvalidInput | AgentKeyRefused | StoreError>
    /** With its `audit.agent_key_registered` row, both or neither. The same key again changes nothing. */
    readonly register: (
      registration: Registration
    ) => Effect.Effect<{ readonly added: boolean; readonly key: AgentKey }, InvalidInput | AgentKeyRefused | StoreError>
    /** The same for a key that is at hand. */
    readonly enrol: (
      signer: AgentSigner,
      by: string
    ) => Effect.Effect<{ readonly added: boolean; readonly key: AgentKey }, InvalidInput | AgentKeyRefused | StoreError>
    /**
     * With its `audit.agent_key_revocation` row, both or neither, unless `strictChain` is off (IDN-07, K-14). This process signs
     * nothing with the key any more before the revocation is written. A revoked key stays as it was revoked first.
     */
    readonly revoke: (
      fingerprint: AgentKeyFingerprint,
      revocation: Revocation
    ) => Effect.Effect<
      { readonly revoked: boolean; readonly key: AgentKey },
      InvalidInput | AgentKeyRefused | StoreError
    >
  }
>()("effect-governance/services/AgentKeys") {}

export const make = Effect.gen(function* () {
  const store = yield* AgentKeyStore
  const events = yield* AuditStore
  const audit = yield* Audit
  const transaction = yield* StoreTransaction
  const identity = yield* Identity
  const random = yield* SecureRandom.SecureRandom
  const { hash } = yield* ChainKeys

  const newId = Effect.map(random.uuidV7(), (id) => EventId.make(id))

  /** In chain `operator`, by nobody's agent: such a row needs no signature of the key that it is about. */
  const draftOf = Effect.fnUntraced(function* (kind: string, metadata: JsonObject, id?: EventId) {
    return operatorDraft(id ?? (yield* newId), yield* Clock.currentTimeMillis, kind, metadata)
  })

  const challenge = Effect.fn("AgentKeys.challenge")(function* (agent: string, publicKey: Uint8Array) {
    const agentId = yield* decodeArgument(AgentId, "agentId", agent)
    return possessionText(agentId, yield* Effect.fromResult(checkPublicKey(publicKey)), yield* store.deploymentId)
  })

  const register = Effect.fn("AgentKeys.register")(function* (registration: Registration) {
    const { proof, publicKey } = registration
    const agentId = yield* decodeArgument(AgentId, "agentId", registration.agentId)
    const by = yield* decodeArgument(OperatorId, "by", registration.by)
    const text = yield* challenge(agentId, publicKey)
    if (!isSignedBy(publicKeyFrom(publicKey), text, proof)) return yield* new AgentKeyRefused({ problem: "proof" })
    const fingerprint = fingerprintOf(publicKey, hash)
    const result = yield* transaction.run(
      Effect.tap(store.add({ agentId, fingerprint, publicKey, proof }), ({ added, key }) =>
        added
          ? Effect.flatMap(
              draftOf("audit.agent_key_registered", {
                agent: agentId,
                fingerprint,
                publicKey: Buffer.from(publicKey).toString("hex"),
                proof: Buffer.from(proof).toString("hex"),
                activationSeq: key.activationSeq,
                by
              }),
              events.appendInTransaction
            )
          : Effect.void
      )
    )
    if (result.key.agentId !== agentId) return yield* new AgentKeyRefused({ problem: "taken" })
    if (result.key.revocation !== null) return yield* new AgentKeyRefused({ problem: "revoked" })
    return result
  })

  const enrol = Effect.fnUntraced(function* (signer: AgentSigner, by: string) {
    const { agentId, publicKey } = signer
    return yield* register({ agentId, publicKey, proof: signer.sign(yield* challenge(agentId, publicKey)), by })
  })

  const revokeWith = Effect.fnUntraced(function* (
    fingerprint: AgentKeyFingerprint,
    facts: { readonly reason: string; readonly revokedBy: string },
    strict: boolean
  ) {
    const kind = strict ? "audit.agent_key_revocation" : "identity.revocation_without_chain_event"
    const id = yield* newId
    // Of the revocation as the store has it, time and all.
    const draft = (key: AgentKey) =>
      draftOf(
        kind,
        {
          agent: key.agentId,
          fingerprint,
          reason: facts.reason,
          by: facts.revokedBy,
          revokedAtMs: key.revocation?.revokedAtMs ?? null,
          ...(strict ? {} : { level: "WARN" })
        },
        id
      )
    const revoking = store.revoke(fingerprint, { ...facts, eventId: strict ? id : null })
    const result = yield* transaction.run(
      Effect.tap(revoking, (done) =>
        strict && done?.revoked === true ? Effect.flatMap(draft(done.key), events.appendInTransaction) : Effect.void
      )
    )
    if (result === null) return yield* new AgentKeyRefused({ problem: "unknown" })
    if (!strict && result.revoked) {
      yield* Effect.logWarning(kind, { agent: result.key.agentId, fingerprint })
      yield* audit.submit(yield* draft(result.key))
    }
    return result
  })

  const revoke = Effect.fn("AgentKeys.revoke")(function* (fingerprint: AgentKeyFingerprint, revocation: Revocation) {
    const revokedBy = yield* decodeArgument(OperatorId, "by", revocation.by)
    const reason = yield* Effect.mapError(
      decodeReason(revocation.reason),
      () => new InvalidInput({ field: "reason", problem: "must have 1 to 2000 characters" })
    )
    const inUse = identity.signers().some((signer) => signer.fingerprint === fingerprint)
    identity.withdraw(fingerprint, "revoked")
    const facts = { reason, revokedBy }
    const strictly = revokeWith(fingerprint, facts, true)
    const revoking =
      revocation.strictChain === false
        ? Effect.catchTag(strictly, "StoreError", () => revokeWith(fingerprint, facts, false))
        : strictly
    return yield* Effect.onError(revoking, () =>
      Effect.sync(() => {
        if (inUse) identity.reinstate(fingerprint)
      })
    )
  })

  const list = Effect.map(Effect.all([store.list, store.deploymentId]), ([keys, deploymentId]) => {
    const possessed = possession(hash, deploymentId)
    return keys.filter((key) => possessed(key) !== null)
  })

  return AgentKeys.of({ list, challenge, register, enrol, revoke })
})

const decodeReason = Schema.decodeUnknownEffect(Schema.String.check(Schema.isPattern(/\S/), Schema.isMaxLength(2000)))

/** The registry alone. */
export const layer = Layer.effect(AgentKeys, make).pipe(Layer.provide(PooledRandom.layer))
