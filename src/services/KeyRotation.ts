import { Clock, Context, Effect, Layer, type Redacted, Result } from "effect"
import { uuidV4Unsafe } from "effect/crypto/SecureRandom"
import { Hex } from "effect/encoding"
import { sameBytes } from "../schema/Chain.ts"
import { type ChainKeyVersion, type OtherChainKey, RotationRefused } from "../schema/ChainKeyVersion.ts"
import { EventId, type KeyId, operatorChain } from "../schema/Ids.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import { type Handover, markerKind, markerText, placeAfter } from "../schema/RotationMarker.ts"
import type { WeakSecret } from "../schema/Secret.ts"
import { StoreError } from "../schema/StoreError.ts"
import { AuditStore } from "./AuditStore.ts"
import { ChainKeyStore } from "./ChainKeyStore.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { KeyFollower } from "./KeyFollower.ts"
import { Signal } from "./Signal.ts"
import { StoreTransaction } from "./StoreTransaction.ts"

export interface Rotation {
  readonly secret: Redacted.Redacted<string>
  /**
   * Leaves the new secret in the registry, encrypted for holders of the old one, so that every process switches by itself.
   * After a compromise of the old secret: false, or its thief takes the new one over as well.
   */
  readonly handOver: boolean
  readonly by: string
  readonly reason: string | null
}

export interface Rotated {
  readonly version: number
  readonly from: KeyId
  readonly to: KeyId
  readonly handedOver: boolean
  /** The marker's place in chain `operator`. */
  readonly seq: number
}

/** What is to happen once a rotation is committed, before anybody is told: the checkpoint that DEC-21 asks for. */
export class AfterRotation extends Context.Reference<(rotated: Rotated) => Effect.Effect<void>>(
  "effect-governance/services/AfterRotation",
  { defaultValue: () => () => Effect.void }
) {}

/** Replaces the secret that seals the log, on a running system and without losing an event (ROT-01, K-03). */
export class KeyRotation extends Context.Service<
  KeyRotation,
  {
    /** The registry's version and its marker are one transaction; whoever comes second is refused (L-09). */
    readonly rotate: (
      rotation: Rotation
    ) => Effect.Effect<Rotated, WeakSecret | RotationRefused | OtherChainKey | StoreError>
  }
>()("effect-governance/services/KeyRotation") {}

export const make = Effect.gen(function* () {
  const keys = yield* ChainKeys
  const registry = yield* ChainKeyStore
  const log = yield* AuditStore
  const transaction = yield* StoreTransaction
  const follower = yield* KeyFollower
  const signal = yield* Signal

  /** The version that is to be replaced. */
  const current = Effect.gen(function* () {
    yield* follower.refresh
    const own = { keyId: keys.current.keyId, fingerprint: keys.fingerprint, known: keys.keyIds() }
    yield* registry.begin(own)
    const { deploymentId, versions } = yield* registry.read
    const latest = versions.at(-1)
    if (latest === undefined || latest.keyId !== own.keyId) {
      return yield* new RotationRefused({ problem: "behind", keyId: latest?.keyId ?? own.keyId })
    }
    return { deploymentId, versions, latest }
  })

  /** Sealed under the outgoing key by the store; `hmacNext` binds the incoming one to exactly this place (K-04). */
  const marker = Effect.fnUntraced(function* (handover: Handover, id: EventId, { by, handOver, reason }: Rotation) {
    const head = yield* log.head(operatorChain)
    const mac = keys.macWith(handover.to, "rotation-marker")
    if (mac === undefined) return yield* new RotationRefused({ problem: "behind", keyId: handover.to })
    const { from, to, version } = handover
    const hmacNext = Hex.encode(mac(markerText(placeAfter(head, id), handover)))
    const facts = { version, from, to, handedOver: handOver, by, reason, hmacNext }
    const { row } = yield* log.appendInTransaction(operatorDraft(id, yield* Clock.currentTimeMillis, markerKind, facts))
    const inPlace = row.seq === head.seq + 1 && (head.hash === null || sameBytes(row.prev ?? nothing, head.hash))
    return inPlace ? row.seq : yield* Effect.fail(moved)
  })

  const commit = Effect.fnUntraced(function* (latest: ChainKeyVersion, handover: Handover, rotation: Rotation) {
    const { from, to, version } = handover
    const fingerprint = keys.ring.fingerprintOf(to)
    const box = rotation.handOver ? keys.ring.wrap(handover) : null
    if (fingerprint === undefined || box === undefined) {
      return yield* new RotationRefused({ problem: "behind", keyId: from })
    }
    const id = EventId.make(uuidV4Unsafe())
    const next = { expected: latest.version, previous: from, keyId: to, fingerprint, marker: id, handover: box }
    const seq = yield* transaction
      .run(
        Effect.gen(function* () {
          if (!(yield* registry.advance(next))) return yield* new RotationRefused({ problem: "overtaken", keyId: from })
          return yield* marker(handover, id, rotation)
        })
      )
      .pipe(
        // Somebody appended between the look at the head and its lock: the proof names another place, so once more.
        Effect.retry({ while: ({ _tag }) => _tag === "Moved", times: 20 }),
        Effect.catchTag("Moved", () => Effect.fail(busy)),
        Effect.catchTag("StoreError", (error) => committed(error, id))
      )
    return { version, from, to, handedOver: rotation.handOver, seq } satisfies Rotated
  })

  /** A lost connection may have lost the answer only: the log knows. */
  const committed = Effect.fnUntraced(function* (error: StoreError, id: EventId) {
    const [row] = yield* Effect.orElseSucceed(log.byId(id, operatorChain), () => [])
    return row === undefined ? yield* error : row.seq
  })

  const rotate = Effect.fn("KeyRotation.rotate")(function* (rotation: Rotation) {
    const { deploymentId, latest, versions } = yield* current
    const learned = keys.ring.learn(rotation.secret)
    if (Result.isFailure(learned)) return yield* learned.failure
    const to = learned.success
    if (versions.some(({ keyId }) => keyId === to)) {
      return yield* new RotationRefused({ problem: "known key", keyId: to })
    }
    const handover: Handover = { deploymentId, version: latest.version + 1, from: latest.keyId, to }
    const rotated = yield* commit(latest, handover, rotation)
    // It is done: what fails from here on is found by the next poll, here as anywhere.
    yield* Effect.catch(follower.refresh, (error) =>
      Effect.logWarning("chain_keys.not_followed", { problem: error.message })
    )
    yield* (yield* AfterRotation)(rotated)
    yield* signal.publish("keys", `${rotated.version}`)
    return rotated
  })

  return KeyRotation.of({ rotate })
})

export const layer = Layer.effect(KeyRotation, make)

const nothing = new Uint8Array(0)
const moved = { _tag: "Moved" as const }
const busy = StoreError.because(
  { store: "AuditStore", operation: "appendInTransaction", problem: "overload" },
  undefined
)
