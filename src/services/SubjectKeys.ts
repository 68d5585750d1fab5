// Keys are made and derived beside the synchronous sealing that uses them.
import { createHmac, hkdfSync, randomBytes } from "node:crypto"
import { Clock, Context, Duration, Effect, Layer, Option, Result, Stream } from "effect"
import { Base64Url, Hex } from "effect/encoding"
import type { ChainRow } from "../schema/Envelope.ts"
import { parseEnvelope } from "../schema/EnvelopeText.ts"
import { type SealMark, unsealable } from "../schema/Escape.ts"
import type { EventId, KeyId } from "../schema/Ids.ts"
import { type JsonValue, type MarkedJson, snapshotMarked } from "../schema/Json.ts"
import { Marked } from "../schema/Marked.ts"
import { findSealed, isSealed, markedSubjects, type SubjectKey, sealedPlaintext, sealMarks } from "../schema/Sealed.ts"
import { openMetadata, type SealedTally } from "../schema/SealedReading.ts"
import { StoreError } from "../schema/StoreError.ts"
import * as Aead from "./Aead.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { within } from "./Deadline.ts"
import { Settings } from "./Settings.ts"
import { Signal } from "./Signal.ts"
import { type CurrentKey, SubjectKeyStore, type WrappedKey } from "./SubjectKeyStore.ts"

/** Metadata with its marked values opened, as far as their keys exist. */
export interface OpenedMetadata {
  readonly metadata: JsonValue
  readonly tally: SealedTally
}

/** Seals, hashes and opens what callers marked as belonging to a subject (BEY-12, A-30). */
export class SubjectKeys extends Context.Service<
  SubjectKeys,
  {
    /**
     * What `escape` needs to seal the marks of `tree` for the event or request with this id. Never fails: where a key cannot be
     * had within the deadline the value becomes `{"$unsealable":true}`. Keep the text for retries: the key may be another then.
     */
    readonly sealFor: (event: EventId, tree: MarkedJson) => Effect.Effect<SealMark>
    /**
     * What stands for a marked value in a text that is hashed: an HMAC under the subject's key, so that a guess cannot be
     * confirmed. Undefined when the input has no marks. Without a key, something that is never the same twice.
     */
    readonly hashing: (input: unknown) => Effect.Effect<SealMark | undefined>
    /** The metadata of a stored row for a reader who may see it. */
    readonly open: (row: StoredRow) => Effect.Effect<OpenedMetadata, StoreError>
    /** The same for anything else that `sealFor` has sealed, as the arguments of a request for approval: by the id they were sealed for. */
    readonly openStored: (id: EventId, stored: JsonValue) => Effect.Effect<OpenedMetadata, StoreError>
    /** Counts the marked values of rows by what has become of them, for reports. */
    readonly tally: (rows: ReadonlyArray<StoredRow>) => Effect.Effect<SealedTally, StoreError>
  }
>()("effect-governance/services/SubjectKeys") {}

export type StoredRow = Pick<ChainRow, "id" | "canonical">

export const make = Effect.gen(function* () {
  const store = yield* SubjectKeyStore
  const chainKeys = yield* ChainKeys
  const settings = yield* Settings
  const signal = yield* Signal
  const deadline = Duration.min(settings.auditDeadline, settings.enforcementDeadline)
  const cache = new Map<string, { readonly key: SubjectKey; readonly untilNs: bigint }>()

  const wrapping = (keyId: KeyId) => chainKeys.macWith(keyId, "subject-keys")?.(wrapLabel)

  const candidate = (subject: string): CurrentKey => {
    const id = Base64Url.encode(randomBytes(16))
    const nonce = randomBytes(nonceBytes)
    const { keyId } = chainKeys.current
    // The current key id is always known.
    const sealed = Aead.seal(wrapping(keyId)!, randomBytes(32), wrapAad(id), nonce)
    return { id, subject, wrapKey: keyId, wrapped: Buffer.concat([nonce, sealed]) }
  }

  const unwrap = ({ id, wrapKey, wrapped }: WrappedKey): Uint8Array | undefined => {
    const key = wrapping(wrapKey)
    return key === undefined
      ? undefined
      : Aead.unseal(key, wrapped.subarray(nonceBytes), wrapAad(id), wrapped.subarray(0, nonceBytes))
  }

  const fetch = Effect.fnUntraced(function* (subjects: ReadonlyArray<string>) {
    const found = new Map<string, SubjectKey>()
    const take = (rows: ReadonlyArray<CurrentKey>) =>
      rows.filter((row) => {
        const key = unwrap(row)
        if (key !== undefined) found.set(row.subject, { id: row.id, key })
        return key === undefined
      })
    const closed = take(yield* store.current(subjects.map(candidate), []))
    // Wrapped under a secret that this process does not have: what it seals from now on gets a key that it can give back.
    if (closed.length > 0) {
      const ids = closed.map(({ id }) => id)
      take(
        yield* store.current(
          closed.map(({ subject }) => candidate(subject)),
          ids
        )
      )
    }
    return found
  })

  const remember = (found: ReadonlyMap<string, SubjectKey>, untilNs: bigint) => {
    for (const [subject, key] of found) {
      cache.delete(subject)
      cache.set(subject, { key, untilNs })
      if (cache.size > maxCached) for (const oldest of cache.keys()) return void cache.delete(oldest)
    }
  }

  const keysOf = Effect.fnUntraced(function* (subjects: ReadonlySet<string>) {
    const clock = yield* Clock.Clock
    const nowNs = clock.monotonicTimeNanosUnsafe()
    const keys = new Map<string, SubjectKey>()
    const missing: Array<string> = []
    for (const subject of subjects) {
      const hit = cache.get(subject)
      if (hit !== undefined && hit.untilNs > nowNs) keys.set(subject, hit.key)
      else missing.push(subject)
    }
    if (missing.length === 0) return keys
    const found = yield* within(fetch(missing), deadline, tooLate).pipe(
      Effect.catch((error) =>
        Effect.as(
          Effect.logWarning("audit.marked_value_lost", { problem: error.problem, values: missing.length }),
          new Map<string, SubjectKey>()
        )
      )
    )
    remember(found, nowNs + cacheNs)
    for (const [subject, key] of found) keys.set(subject, key)
    return keys
  })

  // Whatever came: an erased key may be among those held here, and dropping all costs one question each.
  yield* Effect.forkScoped(Stream.runForEach(signal.changes("subjects"), () => Effect.sync(() => cache.clear())))

  const lookup = Effect.fnUntraced(function* (ids: ReadonlySet<string>) {
    const known = ids.size === 0 ? [] : yield* store.byId([...ids])
    const keys = new Map(known.map((one) => [one.id, one._tag === "Erased" ? "erased" : unwrap(one)] as const))
    return (id: string) => keys.get(id)
  })

  const openStored = (id: EventId, stored: JsonValue) =>
    Effect.map(lookup(keyIdsOf(stored)), (keyOf) => openMetadata(stored, id, keyOf, Aead.unseal))

  return SubjectKeys.of({
    sealFor: (event, tree) =>
      Effect.map(keysOf(markedSubjects(tree)), (keys) =>
        sealMarks({ event, keyOf: (subject) => keys.get(subject), seal: Aead.seal, nonce: nonceOf })
      ),
    hashing: (input) => {
      const taken = snapshotMarked(input)
      const subjects = Result.isSuccess(taken) ? markedSubjects(taken.success) : none
      if (subjects.size === 0) return Effect.undefined
      return Effect.map(
        keysOf(subjects),
        (keys): SealMark =>
          (marked) => {
            const key = keys.get(Marked.subject(marked))
            return key === undefined ? { $unsealable: Hex.encode(randomBytes(16)) } : { $hmac: macOf(key, marked) }
          }
      )
    },
    open: Effect.fn("SubjectKeys.open")((row) => openStored(row.id, storedMetadata(row))),
    openStored: Effect.fn("SubjectKeys.openStored")(openStored),
    tally: Effect.fn("SubjectKeys.tally")(function* (rows) {
      const stored = rows.map((row) => [row.id, storedMetadata(row)] as const)
      const keyOf = yield* lookup(new Set(stored.flatMap(([, metadata]) => [...keyIdsOf(metadata)])))
      return stored
        .map(([id, metadata]) => openMetadata(metadata, id, keyOf, Aead.unseal).tally)
        .reduce(
          (sum, one) => ({
            opened: sum.opened + one.opened,
            erased: sum.erased + one.erased,
            unreadable: sum.unreadable + one.unreadable,
            unsealable: sum.unsealable + one.unsealable
          }),
          { opened: 0, erased: 0, unreadable: 0, unsealable: 0 }
        )
    })
  })
})

export const layer = Layer.effect(SubjectKeys, make)

/** No key is ever at hand: for programs that write no marked values. What is marked all the same is lost, never plain. */
export const layerOff = Layer.succeed(
  SubjectKeys,
  SubjectKeys.of({
    sealFor: () => Effect.succeed(() => unsealable),
    hashing: () => Effect.undefined,
    open: (row) => Effect.succeed(openMetadata(storedMetadata(row), row.id, () => undefined, Aead.unseal)),
    openStored: (id, stored) => Effect.succeed(openMetadata(stored, id, () => undefined, Aead.unseal)),
    tally: (rows) =>
      Effect.sync(() => {
        const found = rows.flatMap((row) => findSealed(storedMetadata(row)))
        const unreadable = found.filter(({ value }) => isSealed(value)).length
        return { opened: 0, erased: 0, unreadable, unsealable: found.length - unreadable }
      })
  })
)

const none: ReadonlySet<string> = new Set()
const nonceBytes = 12
/** How long an erased key may still seal in a process that no signal reaches; what it seals then nobody can open. */
const cacheNs = 5_000_000_000n
const maxCached = 10_000

const wrapLabel = "effect-governance/subject-key/v1/wrap\n"
const wrapAad = (id: string) => new TextEncoder().encode(`${wrapLabel}${id}`)

/** HMAC under a key of its own for each purpose, so that the key that seals does nothing else. */
const hmac = (key: Uint8Array, purpose: string, ...parts: ReadonlyArray<Uint8Array>) => {
  const own = new Uint8Array(hkdfSync("sha256", key, "", `effect-governance/subject-key/v1/${purpose}`, 32))
  const mac = createHmac("sha256", own)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

/**
 * The same value in the same place of the same event is sealed to the same bytes, so that a caller who repeats an event by its id
 * repeats the same event. The additional data says where it ends: it is a label and canonical JSON.
 */
const nonceOf = (key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array) =>
  hmac(key, "nonce", aad, plaintext).subarray(0, nonceBytes)

const macOf = ({ id, key }: SubjectKey, marked: Marked<JsonValue>) => ({
  key: id,
  mac: Hex.encode(hmac(key, "input-hash", sealedPlaintext(marked)))
})

const storedMetadata = ({ canonical }: StoredRow): JsonValue =>
  Option.match(parseEnvelope(canonical), { onNone: () => ({}), onSome: ({ metadata }) => metadata })

const keyIdsOf = (stored: JsonValue): ReadonlySet<string> =>
  new Set(findSealed(stored).flatMap(({ value }) => (isSealed(value) ? [value.$sealed.key] : [])))

const tooLate = () =>
  StoreError.because({ store: "SubjectKeyStore", operation: "current", problem: "deadline" }, undefined)
