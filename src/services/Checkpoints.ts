import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { Adoption } from "../schema/CheckpointEntry.ts"
import type { OtherIdentity, RolledBack } from "../schema/CheckpointError.ts"
import type { CheckpointReport } from "../schema/CheckpointVerdict.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import type { NoteKey } from "../schema/SignedNote.ts"
import { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import * as CheckpointAdoption from "./CheckpointAdoption.ts"
import { CheckpointKey } from "./CheckpointKey.ts"
import * as CheckpointReader from "./CheckpointReader.ts"
import * as CheckpointRound from "./CheckpointRound.ts"
import type { StoredCheckpoint } from "./CheckpointStore.ts"
import { within } from "./Deadline.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { Settings } from "./Settings.ts"
import { type SinkStanding, standings } from "./SinkStandings.ts"

/** Signed checkpoints of the audit log that leave the database, and what they say about it (BEY-04). */
export class Checkpoints extends Context.Service<
  Checkpoints,
  {
    /** The public key of this process under the name of this log; null without a key. */
    readonly key: Effect.Effect<NoteKey | null, StoreError>
    /**
     * Covers every row that is committed now, signs, and hands over to the sinks. The latest checkpoint when nothing moved;
     * null when there is nothing at all. Fails, and signs nothing, where the database contradicts what left it before.
     */
    readonly make: Effect.Effect<StoredCheckpoint | null, CheckpointRound.CheckpointRefusal>
    readonly latest: Effect.Effect<StoredCheckpoint | null, StoreError>
    /** How far every sink and witness is, as it says itself. Never fails for one that does not answer. */
    readonly standings: Effect.Effect<ReadonlyArray<SinkStanding>>
    /** Holds the log against its checkpoints in the database, in the sinks and in memory. Never fails for what it finds. */
    readonly examine: (options?: CheckpointReader.ExamineOptions) => Effect.Effect<CheckpointReport, StoreError>
    /** Keeps the latest checkpoint as the one that was seen here, for the next time. */
    readonly remember: (key?: NoteKey) => Effect.Effect<void, StoreError>
    /** Answers for a restored backup: named, signed, audited; then signing goes on. */
    readonly adopt: (
      input: CheckpointAdoption.AdoptInput
    ) => Effect.Effect<
      { readonly adoption: Adoption; readonly checkpoint: StoredCheckpoint | null },
      CheckpointRound.CheckpointRefusal | InvalidInput | OtherIdentity | RolledBack
    >
  }
>()("effect-governance/services/Checkpoints") {}

const parts = Effect.gen(function* () {
  const reader = yield* CheckpointReader.make
  const round = CheckpointRound.make(reader)
  return { reader, round, adopt: yield* CheckpointAdoption.make(reader, round) }
})

const of = ({ adopt, reader, round }: Effect.Success<typeof parts>) =>
  Checkpoints.of({
    key: Effect.map(reader.ownKey, (key) => (key === null ? null : { name: key.name, publicKey: key.publicKey })),
    make: round.run({ anew: false, withinMs: null }),
    latest: reader.store.latest,
    standings: standings(reader.sinks),
    examine: reader.examine,
    remember: (key) => reader.remember({ anew: false, key }),
    adopt
  })

/** Makes checkpoints when it is asked to, as the command line does. */
export const layerOnDemand = Layer.effect(Checkpoints, Effect.map(parts, of)).pipe(Layer.provide(PooledRandom.layer))

/**
 * A scoped fiber makes one every `checkpointInterval` or after 1000 events of this process, whichever is first, and never two
 * within a second. Several processes share the work: who finds a fresh one waits for the next turn. At the end one more, so that
 * a short program is covered to its last row; that waits 2 s at most.
 */
export const layer = Layer.effect(
  Checkpoints,
  Effect.gen(function* () {
    const all = yield* parts
    const { signing } = yield* CheckpointKey
    const settings = yield* Settings
    if (signing !== null && settings.enableAudit) {
      const intervalMs = Duration.toMillis(settings.checkpointInterval)
      // Before the fiber, so that it runs once that has ended.
      yield* Effect.addFinalizer(() => makeLast(all, intervalMs))
      yield* Effect.forkScoped(keepMaking(all, intervalMs))
    }
    return of(all)
  })
).pipe(Layer.provide(PooledRandom.layer))

const makeLast = ({ round }: Effect.Success<typeof parts>, intervalMs: number) =>
  within(round.run({ anew: false, hurried: true, withinMs: recentMs(intervalMs) }), lastBound, () =>
    StoreError.because({ store: "CheckpointStore", operation: "commit", problem: "deadline" }, undefined)
  ).pipe(
    Effect.catch((error) => Effect.logWarning(`No last checkpoint was made: ${error.message}. ${error.recoveryHint}`)),
    Effect.catchCause((cause) => Effect.logWarning("checkpoints.no_last", cause))
  )

const keepMaking = Effect.fnUntraced(function* ({ reader, round }: Effect.Success<typeof parts>, intervalMs: number) {
  const audit = yield* Audit
  const events = Effect.map(audit.stats, ({ appended }) => appended)
  let said = ""
  let comparedMs = Number.NEGATIVE_INFINITY

  const once = Effect.gen(function* () {
    const nowMs = yield* Clock.currentTimeMillis
    const compare = nowMs - comparedMs >= compareEveryMs
    yield* round.run({ anew: false, withinMs: compare ? null : recentMs(intervalMs) })
    if (compare) comparedMs = nowMs
    if (said !== "") yield* Effect.logInfo("checkpoints.resumed")
    said = ""
  }).pipe(
    Effect.catch((error) => {
      const text = `${error.message}. ${error.recoveryHint}`
      if (text === said) return Effect.void
      said = text
      return error._tag === "StoreError" ? Effect.logWarning(`No checkpoint was made: ${text}`) : Effect.logError(text)
    })
  )

  yield* once
  for (;;) {
    const before = yield* events
    let leftMs = intervalMs
    while (leftMs > 0) {
      yield* Effect.sleep(leastMs)
      if ((yield* events) - before >= eventsBetween) break
      leftMs -= leastMs
      if (leftMs > 0) continue
      // Another process may have made one meanwhile: then ours is due when that one is as old as the interval.
      const latest = yield* Effect.orElseSucceed(reader.store.latest, () => null)
      leftMs = latest === null ? 0 : intervalMs - latest.ageMs
    }
    yield* once
  }
})

const recentMs = (intervalMs: number) => Math.max(10 * intervalMs, 600_000)
const lastBound = Duration.seconds(2)
const leastMs = 1_000
const eventsBetween = 1_000
/** A late commit may hide from what looks at recently moved chains only; comparing all heads now and then finds it. */
const compareEveryMs = 600_000
