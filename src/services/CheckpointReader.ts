import { Effect, Option, Result, Stream } from "effect"
import { Hex } from "effect/encoding"
import { noteStatus, originOf, parseCheckpoint } from "../schema/Checkpoint.ts"
import { answers, type LogEntry } from "../schema/CheckpointEntry.ts"
import { type CheckpointFacts, type CheckpointReport, type LogFacts, verdictOf } from "../schema/CheckpointVerdict.ts"
import { emptyLog, finish, type LogState, type NoteReader, step } from "../schema/CheckpointWalk.ts"
import { formatVerifierKey, type NoteKey, parseVerifierKey } from "../schema/SignedNote.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AuditStore } from "./AuditStore.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { CheckpointKey, noteCrypto, sha256 } from "./CheckpointKey.ts"
import { type CheckpointSink, CheckpointSinks, type CheckpointWitness, isWitness } from "./CheckpointSink.ts"
import { CheckpointStore } from "./CheckpointStore.ts"
import * as LeafCheck from "./LeafCheck.ts"
import * as PrunedRanges from "./PrunedRanges.ts"
import { type Remembered, RememberedCheckpoint } from "./RememberedCheckpoint.ts"

export interface ExamineOptions {
  /** Sinks that are looked at beside those of this process: a file kept elsewhere. */
  readonly sinks?: ReadonlyArray<CheckpointSink> | undefined
  /** The public key to judge signatures with; default: that of this process, else the remembered one. */
  readonly key?: NoteKey | undefined
}

/** Compares the audit log with its checkpoints wherever they are kept. Signs and changes nothing. */
export const make = Effect.gen(function* () {
  const store = yield* CheckpointStore
  const audit = yield* AuditStore
  const { hash, macFor } = yield* ChainKeys
  const { signing } = yield* CheckpointKey
  const sinks = yield* CheckpointSinks
  const memory = yield* RememberedCheckpoint

  const origin = Effect.map(store.deploymentId, originOf)
  /** The key of this process under its log's name, if it has one. */
  const ownKey = Effect.map(origin, (name) => (signing === null ? null : { name, ...signing }))

  /** What retention removed, as the log says it now. */
  const pruned = () => PrunedRanges.make(audit, { hash, macFor })

  const databaseLog: Stream.Stream<LogEntry, StoreError> = Stream.concat(
    Stream.paginate(0, (after: number) =>
      Effect.gen(function* () {
        const page = yield* store.checkpoints(after, pageSize)
        const last = page.at(-1)
        const leaves = last === undefined ? [] : yield* store.leaves(page[0]!.previous, last.size)
        const base = page[0]?.previous ?? 0
        const entries = page.map(
          ({ notes, previous, size }): LogEntry => ({
            _tag: "Checkpoint",
            previous,
            notes,
            leaves: leaves.slice(previous - base, size - base)
          })
        )
        return [entries, last === undefined || page.length < pageSize ? Option.none() : Option.some(last.size)] as const
      })
    ),
    Stream.unwrap(
      Effect.map(store.adoptions, (notes) =>
        Stream.fromIterable(notes.map((note): LogEntry => ({ _tag: "Adoption", note })))
      )
    )
  )

  const examine = Effect.fn("Checkpoints.examine")(function* (
    options: ExamineOptions = {}
  ): Effect.fn.Return<CheckpointReport, StoreError> {
    const name = yield* origin
    const recalled = yield* memory.recall
    const key = options.key ?? (yield* ownKey) ?? rememberedKey(recalled, name)
    const reader: NoteReader = { key, ...noteCrypto }
    // Sinks are read before the database, which is always ahead of them: else a checkpoint made meanwhile looks like a rollback.
    const others = yield* Effect.forEach([...sinks, ...(options.sinks ?? [])], (sink) =>
      Effect.gen(function* () {
        const head = yield* Effect.result(sink.head)
        const walked = yield* Effect.result(isWitness(sink) ? lastOf(sink, reader) : walk(sink.read, reader))
        const present = Result.isSuccess(walked) && Result.isSuccess(head) && head.success !== null
        // Before its first checkpoint a sink of this process is not there, and nobody has deleted it.
        const waiting =
          Result.isSuccess(head) &&
          head.success === null &&
          sinks.includes(sink) &&
          !(recalled?.origin === name && recalled.sinks.includes(sink.name))
        return { sink, present, waiting, ...(Result.isSuccess(walked) ? walked.success : nothing()) }
      })
    )
    const database = yield* walk(databaseLog, reader)
    const facts = [
      ...others.map(({ present, roots, sink, state, waiting }) => ({
        ...(isWitness(sink)
          ? witnessFacts(sink.name, present, state, roots, database)
          : logFacts(sink.name, present, state, agreement(roots, database))),
        waiting
      })),
      ...(recalled === null ? [] : [rememberedFacts(recalled, name, database, key)])
    ]
    // The log that reaches furthest is the one that the rows must bear out.
    const best = others
      .filter(({ present, state }) => present && state.origin === name && !state.otherKey)
      .reduce<{ readonly log: Stream.Stream<LogEntry, unknown>; readonly state: LogState }>(
        (longest, { sink, state }) =>
          !isWitness(sink) && state.signedSize > longest.state.signedSize ? { log: sink.read, state } : longest,
        { log: databaseLog, state: database.state }
      )
    const adoptions = [database, ...others].flatMap(({ state }) => state.adoptions)
    const unique = adoptions.filter((one, at) => adoptions.findIndex((other) => same(one, other)) === at)
    const checked = yield* LeafCheck.check(store, pruned(), best.log, best.state.frontier.size, unique)
    return verdictOf({
      origin: name,
      keyKnown: key !== null,
      database: logFacts("database", true, database.state, null),
      others: facts,
      adoptions: unique,
      ...checked
    } satisfies CheckpointFacts)
  })

  /** Keeps the latest signed checkpoint of the database for the next time, unless it goes back. */
  const remember = Effect.fnUntraced(function* (options: {
    readonly anew: boolean
    readonly key?: NoteKey | undefined
  }) {
    const latest = yield* store.latest
    if (latest === null || latest.notes.length === 0) return
    const name = yield* origin
    const recalled = yield* memory.recall
    const ahead = recalled !== null && (recalled.origin !== name || recalled.size > latest.size)
    if (ahead && !options.anew) return
    const key = options.key ?? (yield* ownKey)
    const filled = yield* Effect.filter(sinks, (sink) =>
      Effect.orElseSucceed(
        Effect.map(sink.head, (head) => head !== null),
        () => false
      )
    )
    const known = options.anew || recalled?.origin !== name ? [] : recalled.sinks
    yield* memory.keep({
      origin: name,
      size: latest.size,
      root: Hex.encode(latest.root),
      key: key === null ? (recalled?.key ?? null) : formatVerifierKey(key, sha256),
      sinks: [...new Set([...known, ...filled.map((sink) => sink.name)])]
    })
  })

  return { store, audit, sinks, memory, origin, ownKey, databaseLog, pruned, examine, remember }
})

export type CheckpointReader = Effect.Success<typeof make>

const pageSize = 200

const same = (left: object, right: object) => JSON.stringify(left) === JSON.stringify(right)

interface Walked {
  readonly state: LogState
  readonly roots: Map<number, string>
}

const nothing = (): Walked => ({ state: emptyLog, roots: new Map() })

const walk = <E>(log: Stream.Stream<LogEntry, E>, reader: NoteReader): Effect.Effect<Walked, E> =>
  Effect.suspend(() => {
    const roots = new Map<number, string>()
    return Effect.map(
      Stream.runFold(
        log,
        (): LogState => emptyLog,
        (state, entry) => step(state, entry, reader, roots)
      ),
      (state) => ({ state: finish(state), roots })
    )
  })

/** A witness has the last checkpoint alone, and nothing of what lies before it. */
const lastOf = (witness: CheckpointWitness, { key, sha, verify }: NoteReader) =>
  Effect.map(witness.head, (head): Walked => {
    const signed = head?.note == null ? undefined : Result.getOrUndefined(parseCheckpoint(head.note))
    if (signed === undefined) return nothing()
    const { origin, root, size } = signed.body
    const otherKey = key !== null && noteStatus(signed, { ...key, name: origin }, { sha, verify }) !== "valid"
    const state = { ...emptyLog, frontier: { size, peaks: [] }, signedSize: size, origin, otherKey }
    return { state, roots: new Map([[size, Hex.encode(root)]]) }
  })

/** What somebody has answered for, and the witness has not heard of yet, speaks against nothing. */
const witnessFacts = (name: string, present: boolean, state: LogState, roots: Walked["roots"], database: Walked) => {
  const [first] = roots
  if (first === undefined) return logFacts(name, present, state, null)
  const [size, root] = first
  return answers(database.state.adoptions, { size, root }) === undefined
    ? logFacts(name, present, state, agreement(roots, database))
    : logFacts(name, present, { ...emptyLog, origin: state.origin }, null)
}

/** A log outside was only ever given sizes that the database had: one of them that it has not, or with another root, is a fork. */
const agreement = (roots: Map<number, string>, database: Walked): boolean | null => {
  let agrees: boolean | null = null
  for (const [size, root] of roots) {
    if (size > database.state.frontier.size) continue
    if (database.roots.get(size) !== root) return false
    agrees = true
  }
  return agrees
}

const logFacts = (where: string, present: boolean, state: LogState, agrees: boolean | null): LogFacts => ({
  where,
  present,
  size: state.frontier.size,
  signedSize: state.signedSize,
  origin: state.origin,
  otherKey: state.otherKey,
  problem: state.problem,
  agrees
})

const rememberedFacts = (recalled: Remembered, name: string, database: Walked, key: NoteKey | null): LogFacts => {
  const ours = database.roots.get(recalled.size)
  return {
    where: "remembered",
    present: true,
    size: recalled.size,
    signedSize: recalled.size,
    origin: recalled.origin,
    otherKey:
      recalled.origin === name &&
      recalled.key !== null &&
      key !== null &&
      recalled.key !== formatVerifierKey(key, sha256),
    problem: null,
    agrees: ours === undefined ? (recalled.size < database.state.frontier.size ? false : null) : ours === recalled.root
  }
}

const rememberedKey = (recalled: Remembered | null, name: string): NoteKey | null =>
  recalled === null || recalled.key === null || recalled.origin !== name
    ? null
    : Result.getOrElse(parseVerifierKey(recalled.key, sha256), () => null)

/** The state that a note claims, whatever it is worth. */
export const claimOf = (note: string) => Option.map(Result.getSuccess(parseCheckpoint(note)), ({ body }) => body)
