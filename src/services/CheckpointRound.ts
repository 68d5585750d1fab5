import { Duration, Effect, Result } from "effect"
import { sameBytes } from "../schema/Chain.ts"
import { type CheckpointLeaf, leafHashOf, signCheckpoint } from "../schema/Checkpoint.ts"
import type { Adoption } from "../schema/CheckpointEntry.ts"
import { CheckpointContradicted, type OtherIdentity, RolledBack } from "../schema/CheckpointError.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { appendLeaves, emptyFrontier, type Frontier, isFrontier, rootOfFrontier } from "../schema/Merkle.ts"
import type { StoreError } from "../schema/StoreError.ts"
import * as CheckpointGuard from "./CheckpointGuard.ts"
import { adoptionsBy, headsOf, isOwn } from "./CheckpointGuard.ts"
import { handOver } from "./CheckpointHandOver.ts"
import { noteCrypto, sha256 } from "./CheckpointKey.ts"
import type { CheckpointReader } from "./CheckpointReader.ts"
import { type CheckpointSink, isWitness } from "./CheckpointSink.ts"
import type { MovedChain, StoredCheckpoint } from "./CheckpointStore.ts"
import { finishing } from "./Deadline.ts"
import { isExcused } from "./LeafCheck.ts"
import { type Signer, showWitness } from "./WitnessHandOver.ts"

/** Why a checkpoint was not made. All but `StoreError` mean that nothing will be signed until somebody acts. */
export type CheckpointRefusal = StoreError | ConfigurationError | RolledBack | OtherIdentity | CheckpointContradicted

export interface RoundOptions {
  /** An operator has just answered for what was found: keys and memory are not held against it. */
  readonly anew: boolean
  readonly withinMs: number | null
  /** The program ends: witnesses have a second to answer. */
  readonly hurried?: boolean | undefined
  /** What that operator answers for, and how it is kept: once what is there already was found sound and is signed. */
  readonly adopting?: { readonly adoption: Adoption; readonly keep: Effect.Effect<void, StoreError> } | undefined
}

/** One round: look whether anything speaks against going on, cover what moved, sign, hand over (BEY-04, A-32). */
export const make = (reader: CheckpointReader) => {
  const { memory, sinks, store } = reader
  /** What was said last of each sink: the same is not said twice. */
  const said = new Map<string, string>()

  const signer = Effect.flatMap(reader.ownKey, (key) =>
    key === null
      ? Effect.fail(
          new ConfigurationError({
            setting: "GOVERNANCE_CHECKPOINT_KEY",
            problem:
              "is not set; make a key with `openssl genpkey -algorithm ed25519` and give file://PATH or env://NAME"
          })
        )
      : Effect.succeed({ key, crypto: noteCrypto })
  )

  const heads = headsOf(sinks, "5 seconds")
  const adoptions = (own: Signer) => adoptionsBy(store, own)
  const guard = CheckpointGuard.make(reader)

  /** A leaf MUST be the row that stands there, or one that somebody answered for. */
  const contradicted = Effect.fnUntraced(function* (
    leaves: ReadonlyArray<CheckpointLeaf & { readonly index: number }>,
    own: Signer,
    adopting: RoundOptions["adopting"]
  ) {
    if (leaves.length === 0) return
    const excuses = [...(yield* adoptions(own)), ...(adopting === undefined ? [] : [adopting.adoption])]
    const isPruned = yield* reader.pruned().excuse
    const bad = leaves.filter((leaf) => !isPruned(leaf) && !isExcused(leaf, leaf.index, excuses))
    const [first] = bad
    if (first !== undefined) {
      return yield* new CheckpointContradicted({
        finding: `${first.chain}, row ${first.seq}, is not the row that a checkpoint saw`,
        findings: bad.length
      })
    }
  })

  /** Signs a size that is committed, by whomever: the same bytes for everybody, once its leaves were looked at again. */
  const sign = Effect.fnUntraced(function* (
    checkpoint: StoredCheckpoint,
    own: Signer,
    adopting: RoundOptions["adopting"]
  ) {
    const { previous, root, size } = checkpoint
    const [before] = previous === 0 ? [undefined] : yield* store.checkpoints(previous - 1, 1)
    const leaves = yield* store.leaves(previous, size)
    const from: Frontier = before === undefined ? emptyFrontier : { size: previous, peaks: before.peaks }
    const after = appendLeaves(
      from,
      leaves.map((leaf) => leafHashOf(leaf, sha256)),
      sha256
    )
    const follows = isSound(from, before?.root ?? null) && after.size === size && isSound(after, root)
    if (!follows) return yield* new RolledBack({ finding: `checkpoint ${size} does not follow from its leaves` })
    const rows = yield* store.rowsAt(leaves)
    yield* contradicted(
      leaves.flatMap((leaf, at) => {
        const hash = rows[at]?.hash
        return hash != null && sameBytes(hash, leaf.hash) ? [] : [{ ...leaf, index: previous + at }]
      }),
      own,
      adopting
    )
    const note = signCheckpoint({ origin: own.key.name, size, root }, own.key, sha256)
    if (Result.isFailure(note)) return yield* Effect.die(note.failure)
    yield* store.note(size, note.success)
  })

  const sound = Effect.fnUntraced(function* (latest: StoredCheckpoint | null) {
    const from: Frontier = latest === null ? emptyFrontier : { size: latest.size, peaks: latest.peaks }
    if (!isSound(from, latest?.root ?? null)) {
      return yield* new RolledBack({ finding: `checkpoint ${from.size} does not follow from its leaves` })
    }
    return from
  })

  const grow = Effect.fnUntraced(function* (
    latest: StoredCheckpoint | null,
    moved: ReadonlyArray<MovedChain>,
    own: Signer,
    adopting: RoundOptions["adopting"]
  ) {
    yield* contradicted(
      moved.flatMap(({ chain, covered }) =>
        covered === null || (covered.now !== null && sameBytes(covered.now, covered.hash))
          ? []
          : [{ chain, seq: covered.seq, hash: covered.hash, index: covered.index }]
      ),
      own,
      adopting
    )
    const { size } = yield* sound(latest)
    return yield* store.commit({ previous: size, leaves: moved.map(({ chain, hash, seq }) => ({ chain, hash, seq })) })
  })

  const run = Effect.fnUntraced(function* (
    options: RoundOptions
  ): Effect.fn.Return<StoredCheckpoint | null, CheckpointRefusal> {
    const own = yield* signer
    // Before the database: another process may hand over while we look, and that is no rollback.
    const seen = yield* options.hurried === true ? headsOf(sinks, "1 second") : heads
    const recalled = yield* memory.recall
    const first = yield* store.latest
    yield* guard.bySinks(seen, first, own, { ...options, adopting: options.adopting?.adoption ?? null })
    if (!options.anew) yield* guard.byMemory(first, own, recalled)
    // From here on a program that ends waits: what is committed and not handed over proves nothing to others.
    return yield* finishing(cover(options, own), patience)
  })

  const cover = Effect.fnUntraced(function* (options: RoundOptions, own: Signer) {
    let { adopting } = options
    let covered = false
    for (let turn = 0; turn < maxTurns; turn++) {
      const latest = yield* store.latest
      if (latest !== null && !latest.notes.some((note) => isOwn(note, own))) {
        yield* sign(latest, own, adopting)
        continue
      }
      if (adopting !== undefined) {
        yield* sound(latest)
        yield* adopting.keep
        adopting = undefined
      }
      if (covered) break
      const moved = yield* store.moved(leavesAtOnce, options.withinMs)
      if (moved.length === 0) break
      // Who loses the swap looks again: the winner may have looked before our rows were there.
      covered = (yield* grow(latest, moved, own, adopting)) && moved.length < leavesAtOnce
    }
    for (const sink of sinks) {
      const isOurs = (note: string) => isOwn(note, own)
      const handing = isWitness(sink)
        ? showWitness(store, sink, own, yield* adoptions(own), isOurs)
        : handOver(store, sink, isOurs)
      yield* handing.pipe(
        Effect.andThen(heard(sink)),
        Effect.catchTag("CheckpointSinkError", (error) => complain(sink, `${error.message}. ${error.recoveryHint}`))
      )
    }
    yield* reader.remember({ anew: options.anew })
    return yield* store.latest
  })

  const complain = (sink: CheckpointSink, text: string) =>
    Effect.suspend(() => {
      if (said.get(sink.name) === text) return Effect.void
      said.set(sink.name, text)
      return Effect.logWarning(text)
    })
  const heard = (sink: CheckpointSink) =>
    Effect.suspend(() => (said.delete(sink.name) ? Effect.logInfo("checkpoints.sink_resumed", sink.name) : Effect.void))

  return { run, signer, heads, adoptions }
}

/** Others who always win MUST NOT keep a round from ending. */
const maxTurns = 200
const leavesAtOnce = 5_000
const patience = Duration.seconds(2)

const isSound = (frontier: Frontier, root: Uint8Array | null) =>
  isFrontier(frontier) && (root === null ? frontier.size === 0 : sameBytes(rootOfFrontier(frontier, sha256), root))
