import { Context, Duration, Effect, Layer, Result, type Scope, type Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { type ChainIntegrityError, EventIdConflict, InvalidAuditEvent } from "../schema/AuditError.ts"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import { type AuditIntake, measured, ownerOf } from "../schema/AuditIntake.ts"
import { isSameEvent, recordOfStored, recordOutside } from "../schema/AuditReading.ts"
import type { AuditRecord } from "../schema/AuditRecord.ts"
import type { AuditStats } from "../schema/AuditStats.ts"
import type { ChainReport } from "../schema/ChainReport.ts"
import type { AuditDraft } from "../schema/Envelope.ts"
import { chainOf, EventId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"
import * as AuditDelivery from "./AuditDelivery.ts"
import * as AuditLimit from "./AuditLimit.ts"
import * as AuditReader from "./AuditReader.ts"
import * as AuditSealing from "./AuditSealing.ts"
import type { AppendResult, AuditQuery } from "./AuditStore.ts"
import * as AuditTrack from "./AuditTrack.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { Identity } from "./Identity.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { Settings } from "./Settings.ts"
import { AfterCommit } from "./StoreTransaction.ts"
import { SubjectKeys } from "./SubjectKeys.ts"

export type { AuditStats } from "../schema/AuditStats.ts"

/** The tamper-evident record of what agents did and what was refused. */
export class Audit extends Context.Service<
  Audit,
  {
    /**
     * Resolves when the event is durably committed. Storage trouble never fails it: the event goes to the fallback and the
     * record says so (AUD-08, DEC-06). Fails only for an event that cannot be an event; then a substitute row is written.
     */
    readonly log: (event: AuditEventInput) => Effect.Effect<AuditRecord, InvalidAuditEvent>
    /** As `note`, for rows that this library has built itself: nothing is decoded, and the rate limit does not apply. */
    readonly submit: (draft: AuditDraft) => Effect.Effect<void>
    /** `submit` without a fiber, for stores that need not wait. False: nothing has happened, `submit` it. */
    readonly submitNow: (draft: AuditDraft, nowMs: number) => boolean
    /** As `log`, for callers who do not read the record: none is made. Whatever goes wrong is in the log or in `stats`. */
    readonly note: (event: AuditEventInput) => Effect.Effect<void>
    /** As `log`, but fails unless the row is in Postgres. For decisions whose policy says `audit: "required"`. */
    readonly require: (
      event: AuditEventInput
    ) => Effect.Effect<AuditRecord, InvalidAuditEvent | EventIdConflict | StoreError>
    /** As `require`, inside `StoreTransaction.run`. */
    readonly requireInTransaction: (
      event: AuditEventInput
    ) => Effect.Effect<AuditRecord, InvalidAuditEvent | EventIdConflict | StoreError>
    /** Logs `<kind>.start`, then `<kind>.end` or `<kind>.error`, around an effect (AUD-09). */
    readonly track: (
      kind: string,
      agentId: string,
      options?: { readonly sessionId?: string; readonly input?: unknown }
    ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /** Events without verification, unless `verifyChainOnRead` is set (AUD-14). */
    readonly getEvents: (
      query: AuditQuery
    ) => Effect.Effect<ReadonlyArray<AuditRecord>, ChainIntegrityError | StoreError>
    /** All rows of a session in order, each verified; fails at the first bad one (AUD-10). */
    readonly traceSessionChain: (
      sessionId: string
    ) => Effect.Effect<ReadonlyArray<AuditRecord>, ChainIntegrityError | StoreError>
    /** From an event to its root by `parentEventId`, each row verified (AUD-11). */
    readonly trace: (eventId: string) => Effect.Effect<ReadonlyArray<AuditRecord>, ChainIntegrityError | StoreError>
    /** True, or fails with the first break; never false (AUD-12). */
    readonly verifyChain: (range?: {
      readonly sessionId?: string
      readonly chain?: string
      readonly fromSeq?: number
      readonly toSeq?: number
    }) => Effect.Effect<true, ChainIntegrityError | StoreError>
    /** Every chain (or one) with every break, for reports and the CLI. Never fails for what it finds. */
    readonly report: (options?: {
      readonly chain?: string
      readonly onProgress?: (rows: number) => Effect.Effect<void>
    }) => Effect.Effect<ChainReport, StoreError>
    /**
     * Calls back after each durable append by this process, inside a transaction after its commit; a failing callback is
     * logged and forgotten (AUD-15). What was replayed, or written by others, reaches `tail` alone.
     */
    readonly subscribe: (
      callback: (record: AuditRecord) => Effect.Effect<void, unknown>
    ) => Effect.Effect<void, never, Scope.Scope>
    /** New events of every chain from now on (or from a moment of the database's clock), exact by chain. */
    readonly tail: (options?: { readonly sinceMs?: number }) => Stream.Stream<AuditRecord, StoreError>
    /** Counters for operators: appended, spooled, replayed, placeholders, refused. */
    readonly stats: Effect.Effect<AuditStats>
  }
>()("effect-governance/services/Audit") {}

export interface AuditOptions {
  /** How long `log` and `require` wait for the database, default 1 s. */
  readonly deadline?: Duration.Duration | undefined
  /** Verifies the whole chains of what `getEvents` returns (AUD-14). Default false. */
  readonly verifyChainOnRead?: boolean | undefined
  /** Events per second and agent that `log` takes; what is beyond is counted, not stored (V8-12). Default: no limit. */
  readonly maxEventsPerSecond?: number | null | undefined
  /** Seals values marked with a subject (BEY-12). Without it they are stored as `{"$unsealable":true}`, never plain. */
  readonly subjects?: AuditSealing.Sealing | undefined
}

export const make = Effect.fnUntraced(function* (options: AuditOptions = {}) {
  const keys = yield* ChainKeys
  const identity = yield* Identity
  const random = yield* SecureRandom.SecureRandom
  const delivery = yield* AuditDelivery.make({ deadline: options.deadline ?? Duration.seconds(1) })
  const reader = yield* AuditReader.make({ verifyOnRead: options.verifyChainOnRead ?? false })
  const limit = yield* AuditLimit.make(options.maxEventsPerSecond ?? null, delivery)
  const decode = AuditSealing.make(options.subjects, random)
  const subscribers = new Set<Subscriber>()
  let refused = 0

  /** Gives a decoded event its id and its time. */
  const draftOf = (intake: AuditIntake): Effect.Effect<AuditDraft> =>
    Effect.clockWith((clock) => {
      const atMs = clock.currentTimeMillisUnsafe()
      return intake.id === null
        ? Effect.map(random.uuidV7(), (id) => ({ ...intake, id: EventId.make(id), atMs }))
        : Effect.succeed({ ...intake, id: intake.id, atMs })
    })

  /** The row that stands for what could not be one, then the refusal itself. */
  const refuse = Effect.fnUntraced(function* (event: unknown, error: InvalidAuditEvent) {
    refused++
    const { agent, session } = ownerOf(event)
    const own = yield* delivery.ownDraft("audit.event_refused", {
      field: error.field.toWellFormed().replaceAll("\u0000", ""),
      problem: error.problem,
      ...measured(event, keys.hash)
    })
    yield* delivery.deliver(agent === null ? own : { ...own, agent, session, chain: chainOf(agent, session) })
    return yield* error
  })

  const taken = (row: EventIdConflict) =>
    new InvalidAuditEvent({ field: "id", problem: `is already row ${row.seq}, with another content` })

  const conflict = (result: AppendResult, draft: AuditDraft): EventIdConflict | null =>
    result._tag === "Stored" || isSameEvent(result.row, draft)
      ? null
      : new EventIdConflict({ eventId: draft.id, chain: draft.chain, seq: result.row.seq })

  const publish = (result: AppendResult, draft: AuditDraft): Effect.Effect<void> => {
    if (subscribers.size === 0 || result._tag !== "Stored") return Effect.void
    const record = recordOfStored(result.row, draft)
    return Effect.forEach(subscribers, (subscriber) => subscriber(record), { discard: true })
  }

  const send = (event: AuditEventInput): Effect.Effect<Sent, InvalidAuditEvent> =>
    Effect.suspend(() =>
      decode(event, (intake) => {
        if (Result.isFailure(intake)) return refuse(event, intake.failure)
        return Effect.flatMap(limit(intake.success), () =>
          Effect.flatMap(draftOf(intake.success), (draft) =>
            Effect.flatMap(delivery.deliver(draft), (result): Effect.Effect<Sent, InvalidAuditEvent> => {
              if (result._tag === "Spooled" || result._tag === "Lost")
                return Effect.succeed([result, result.draft] as const)
              const other = conflict(result, draft)
              if (other !== null) return refuse(event, taken(other))
              return Effect.as(publish(result, draft), [result, draft] as const)
            })
          )
        )
      })
    )

  const recorded = ([result, draft]: Sent) =>
    result._tag === "Spooled"
      ? recordOutside(draft, keys.current.keyId, "spooled")
      : result._tag === "Lost"
        ? recordOutside(draft, keys.current.keyId, "placeholder")
        : recordOfStored(result.row, draft)

  const log = (event: AuditEventInput) => Effect.map(send(event), recorded)

  const requireBy = (append: (draft: AuditDraft) => Effect.Effect<AppendResult, StoreError>, announce: boolean) =>
    Effect.fnUntraced(function* (event: AuditEventInput) {
      const intake = yield* decode(event, Effect.succeed)
      if (Result.isFailure(intake)) return yield* refuse(event, intake.failure)
      const draft = yield* draftOf(intake.success)
      const result = yield* append(draft)
      const other = conflict(result, draft)
      if (other !== null) return yield* other
      if (announce) yield* publish(result, draft)
      else (yield* AfterCommit)?.push(Effect.suspend(() => publish(result, draft)))
      return recordOfStored(result.row, draft)
    })

  const subscribe = (callback: Subscribed) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const subscriber: Subscriber = (record) =>
          Effect.catchCause(
            Effect.suspend(() => callback(record)),
            (cause) => Effect.logWarning("audit.subscriber_failed", cause)
          )
        subscribers.add(subscriber)
        return subscriber
      }),
      (subscriber) => Effect.sync(() => subscribers.delete(subscriber))
    ).pipe(Effect.asVoid)

  const { tail, ...reading } = reader
  return Audit.of({
    log,
    submit: (draft) =>
      Effect.flatMap(delivery.deliver(draft), (result) =>
        result._tag === "Stored" ? publish(result, draft) : Effect.void
      ),
    submitNow: (draft, nowMs) => subscribers.size === 0 && delivery.deliverNow(draft, nowMs),
    note: (event) => Effect.ignore(send(event)),
    require: requireBy(delivery.append, true),
    requireInTransaction: requireBy(delivery.store.appendInTransaction, false),
    track: AuditTrack.make(log, keys.hash),
    subscribe,
    tail,
    ...reading,
    stats: Effect.map(delivery.waiting, (waiting) => ({
      ...delivery.counts,
      refused,
      waiting,
      unsignedLocalFailures: identity.stats().failed
    }))
  })
})

export const layerWith = (options: AuditOptions = {}) =>
  Layer.effect(Audit, make(options)).pipe(Layer.provide(PooledRandom.layer))

/** As the configuration says. Needs AuditStore, AuditFallback, ChainKeys and SubjectKeys. */
export const layer = Layer.unwrap(
  Effect.map(Effect.all([Settings, SubjectKeys]), ([settings, subjects]) =>
    layerWith({
      subjects,
      deadline: settings.auditDeadline,
      verifyChainOnRead: settings.verifyChainOnRead,
      maxEventsPerSecond: settings.maxEventsPerSecond
    })
  )
)

type Sent = readonly [AuditDelivery.Delivery, AuditDraft]
type Subscribed = (record: AuditRecord) => Effect.Effect<void, unknown>
type Subscriber = (record: AuditRecord) => Effect.Effect<void>
