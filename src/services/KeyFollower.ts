import { Context, Effect, Layer, Schedule, Semaphore, Stream } from "effect"
import { type ChainKeyVersion, OtherChainKey } from "../schema/ChainKeyVersion.ts"
import { operatorChain } from "../schema/Ids.ts"
import { StoreError } from "../schema/StoreError.ts"
import { AuditStore } from "./AuditStore.ts"
import { ChainKeyStore } from "./ChainKeyStore.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { within } from "./Deadline.ts"
import { proves } from "./RotationProof.ts"
import { Settings } from "./Settings.ts"
import { Signal } from "./Signal.ts"

/**
 * Keeps the keys of this process at what the registry says: at start, when a signal says so, and every `hotReloadInterval`.
 * A rotation needs no restart, and a process that is restarted with the old secret finds its way (ROT-01).
 */
export class KeyFollower extends Context.Service<
  KeyFollower,
  {
    /** Reads the registry and takes over what is current. Fails when this process cannot write into this log. */
    readonly refresh: Effect.Effect<void, StoreError | OtherChainKey>
    /** The version that this process seals with, and the one that it should; null while no registry has been read. */
    readonly standing: () => { readonly version: number | null; readonly latest: number | null }
  }
>()("effect-governance/services/KeyFollower") {}

export const make = Effect.fnUntraced(function* ({ begins }: { readonly begins: boolean }) {
  const keys = yield* ChainKeys
  const registry = yield* ChainKeyStore
  const log = yield* AuditStore
  const { ring } = keys
  const one = Semaphore.makeUnsafe(1)
  let adopted = 0
  let latest = 0
  let warned = 0

  /** Once for each version: who polls must not fill the log. */
  const warnOnce = (version: number, event: string, facts: object) =>
    Effect.suspend(() => {
      if (version <= warned) return Effect.void
      warned = version
      return Effect.logWarning(event, facts)
    })

  const knows = (keyId: ChainKeyVersion["keyId"]) => keys.macFor(keyId) !== undefined

  const readOrBegin = Effect.gen(function* () {
    const found = yield* registry.read
    if (found.versions.length > 0 || keys.ephemeral || !begins) return found
    const key = { keyId: keys.current.keyId, fingerprint: keys.fingerprint, known: keys.keyIds() }
    if (yield* registry.begin(key)) return yield* registry.read
    const again = yield* registry.read
    // A log from before the registry, sealed with a secret that is not here: as ever, `verify` will call our rows apart.
    if (again.versions.length === 0) yield* warnOnce(1, "chain_keys.log_of_another_key", { given: key.keyId })
    return again
  })

  /** Whoever may call the registry's function could name any key: only what both keys prove is followed. */
  const isProved = Effect.fnUntraced(function* (next: ChainKeyVersion, unwrapped: boolean) {
    if (unwrapped || next.previous === null || next.marker === null || !knows(next.previous)) return true
    const rows = yield* log.byId(next.marker, operatorChain)
    return rows.some((row) => proves(row, next, keys))
  })

  const follow = Effect.gen(function* () {
    const { deploymentId, versions } = yield* readOrBegin
    const current = versions.at(-1)
    if (current === undefined || current.version === adopted) {
      ring.held = null
      return
    }
    latest = current.version
    if (current.version < adopted) {
      yield* warnOnce(adopted + 1, "chain_keys.registry_shortened", { version: adopted, registry: current.version })
      return
    }
    let unwrapped = 0
    for (const { handover, keyId, previous, version } of versions) {
      if (handover === null || previous === null || knows(keyId) || !knows(previous)) continue
      if (ring.unwrap({ deploymentId, version, from: previous, to: keyId }, handover)) unwrapped = version
    }
    const own = keys.current.keyId
    const isHere = knows(current.keyId)
    if (isHere && (own === current.keyId || (yield* isProved(current, unwrapped === current.version)))) {
      ring.switchTo(current.keyId)
      adopted = current.version
      ring.held = null
      if (own === current.keyId) return
      return yield* Effect.logInfo("chain_keys.switched", { version: current.version, keyId: current.keyId })
    }
    if (!versions.some(({ keyId }) => keyId === own)) {
      ring.held = "refused"
      return yield* new OtherChainKey({ keyId: current.keyId, version: current.version, given: own })
    }
    ring.held = null
    yield* warnOnce(current.version, isHere ? "chain_keys.rotation_unproved" : "chain_keys.behind", {
      version: current.version,
      keyId: current.keyId,
      sealingWith: own,
      todo: isHere ? "run governance verify" : "restart with the new secret as GOVERNANCE_AUDIT_SECRET"
    })
  })

  return KeyFollower.of({
    // One at a time, so that nobody acts on what was read before a later version was taken over.
    refresh: one.withPermit(follow),
    standing: () => ({ version: adopted === 0 ? null : adopted, latest: latest === 0 ? null : latest })
  })
})

/** Once, at start, for a program that soon ends. A database that does not answer is its failure. */
export const layerOnce = Layer.effect(
  KeyFollower,
  Effect.tap(make({ begins: true }), ({ refresh }) => refresh)
)

/**
 * For readers: what can be learned is learned, what cannot be is left for the verdict to say (K-06), and a log that nobody has
 * written into is not made anybody's.
 */
export const layerReading = Layer.effect(
  KeyFollower,
  Effect.tap(make({ begins: false }), ({ refresh }) => Effect.ignore(refresh))
)

/**
 * At start and from then on. A database that does not answer stops no host (INV-1): nothing is appended until the registry
 * has been read, so events wait in the fallback meanwhile.
 */
export const layer = Layer.effect(
  KeyFollower,
  Effect.gen(function* () {
    const follower = yield* make({ begins: true })
    const { ring } = yield* ChainKeys
    const settings = yield* Settings
    const signal = yield* Signal
    const bounded = within(follower.refresh, settings.enforcementDeadline, () => late)

    const later = Effect.catch(bounded, (error) =>
      Effect.logError("chain_keys.not_followed", {
        problem: error._tag === "StoreError" ? error.problem : error.message
      })
    )
    yield* Effect.catchTag(bounded, "StoreError", (error) => {
      ring.held = error.problem
      return Effect.logError("chain_keys.registry_unread", { problem: error.problem }).pipe(
        Effect.andThen(Effect.forkScoped(Effect.retry(bounded, untilRead).pipe(Effect.catch(() => later))))
      )
    })
    yield* Effect.forkScoped(Stream.runForEach(signal.changes("keys"), () => later))
    yield* Effect.forkScoped(Effect.forever(Effect.delay(later, settings.hotReloadInterval)))
    return follower
  })
)

const late = StoreError.because({ store: "ChainKeyStore", operation: "read", problem: "deadline" }, undefined)
const untilRead = {
  while: (error: StoreError | OtherChainKey) => error._tag === "StoreError",
  schedule: Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]))
}
