import { Duration, Effect, Option, Result } from "effect"
import { Hex } from "effect/encoding"
import { sameBytes } from "../schema/Chain.ts"
import { leafHashOf, noteStatus, parseCheckpoint, signCheckpoint } from "../schema/Checkpoint.ts"
import type { Adoption } from "../schema/CheckpointEntry.ts"
import { CheckpointContradicted, OtherIdentity, RolledBack } from "../schema/CheckpointError.ts"
import { emptyLog, step } from "../schema/CheckpointWalk.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { appendLeaves, emptyFrontier, type Frontier, isFrontier, rootOfFrontier } from "../schema/Merkle.ts"
import { formatVerifierKey, parseNote } from "../schema/SignedNote.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { handOver } from "./CheckpointHandOver.ts"
import { sha256, verifyEd25519 } from "./CheckpointKey.ts"
import { type CheckpointReader, claimOf } from "./CheckpointReader.ts"
import type { MovedChain, StoredCheckpoint } from "./CheckpointStore.ts"
import { finishing } from "./Deadline.ts"
import { isExcused } from "./LeafCheck.ts"

/** Why a checkpoint was not made. All but `StoreError` mean that nothing will be signed until somebody acts. */
export type CheckpointRefusal = StoreError | ConfigurationError | RolledBack | OtherIdentity | CheckpointContradicted

export interface RoundOptions {
  /** An operator has just answered for what was found: keys and memory are not held against it. */
  readonly anew: boolean
  readonly withinMs: number | null
  /** What that operator answers for, and how it is kept: once what is there already was found sound and is signed. */
  readonly adopting?: { readonly adoption: Adoption; readonly keep: Effect.Effect<void, StoreError> } | undefined
}

/** One round: look whether anything speaks against going on, cover what moved, sign, hand over (BEY-04, A-32). */
export const make = (reader: CheckpointReader) => {
  const { memory, sinks, store } = reader

  const signer = Effect.flatMap(reader.ownKey, (key) =>
    key === null
      ? Effect.fail(
          new ConfigurationError({
            setting: "GOVERNANCE_CHECKPOINT_KEY",
            problem:
              "is not set; make a key with `openssl genpkey -algorithm ed25519` and give file://PATH or env://NAME"
          })
        )
      : Effect.succeed({ key, crypto: { sha: sha256, verify: verifyEd25519 } })
  )
  type Signer = Effect.Success<typeof signer>

  const isOwn = (note: string, { crypto, key }: Signer): boolean =>
    Result.match(parseNote(note), {
      onFailure: () => false,
      onSuccess: (signed) => noteStatus(signed, key, crypto) === "valid"
    })

  const heads = Effect.forEach(sinks, (sink) => Effect.map(Effect.result(sink.head), (head) => ({ sink, head })))
  type Heads = Effect.Success<typeof heads>

  /** What left the database before MUST still be in it: a sink is only ever given what was committed. */
  const guard = Effect.fnUntraced(function* (seen: Heads, latest: StoredCheckpoint | null, own: Signer, anew: boolean) {
    for (const { head, sink } of seen) {
      if (Result.isFailure(head) || head.success === null || head.success.note === null) continue
      const { note, size } = head.success
      const claim = Option.getOrUndefined(claimOf(note))
      if (claim === undefined) continue
      if (claim.origin !== own.key.name) {
        return yield* new OtherIdentity({ finding: `${sink.name} belongs to ${claim.origin}, this is ${own.key.name}` })
      }
      if (!anew && !isOwn(note, own)) {
        return yield* new OtherIdentity({ finding: `${sink.name} was not signed with this checkpoint key` })
      }
      if (size > (latest?.size ?? 0)) {
        return yield* new RolledBack({
          finding: `it ends at checkpoint ${latest?.size ?? 0}, ${sink.name} at checkpoint ${size}`
        })
      }
      const [ours] = yield* store.checkpoints(size - 1, 1)
      if (ours === undefined || ours.size !== size || !sameBytes(ours.root, claim.root)) {
        return yield* new RolledBack({ finding: `its checkpoint ${size} is not the one in ${sink.name}` })
      }
    }
    if (!anew && latest !== null && latest.notes.length > 0 && !latest.notes.some((note) => isOwn(note, own))) {
      return yield* new OtherIdentity({ finding: "its latest checkpoint was not signed with this checkpoint key" })
    }
  })

  const guardMemory = Effect.fnUntraced(function* (latest: StoredCheckpoint | null, own: Signer, recalled: Recalled) {
    if (recalled === null) return
    if (recalled.origin !== own.key.name) {
      return yield* new OtherIdentity({ finding: `${recalled.origin} was here before, this is ${own.key.name}` })
    }
    if (recalled.key !== null && recalled.key !== formatVerifierKey(own.key, sha256)) {
      return yield* new OtherIdentity({ finding: "another checkpoint key was used here before" })
    }
    if (recalled.size > (latest?.size ?? 0)) {
      return yield* new RolledBack({
        finding: `it ends at checkpoint ${latest?.size ?? 0}, checkpoint ${recalled.size} was seen before`
      })
    }
  })
  type Recalled = Effect.Success<typeof memory.recall>

  const adoptions = (own: Signer) =>
    Effect.map(
      store.adoptions,
      (notes) =>
        notes.reduce(
          (state, note) => step(state, { _tag: "Adoption", note }, { key: own.key, ...own.crypto }, new Map()),
          emptyLog
        ).adoptions
    )

  /** A leaf MUST be the row that stands there, or one that somebody answered for. */
  const contradicted = Effect.fnUntraced(function* (
    leaves: ReadonlyArray<{ readonly chain: string; readonly seq: number; readonly index: number }>,
    own: Signer,
    adopting: RoundOptions["adopting"]
  ) {
    if (leaves.length === 0) return
    const excuses = [...(yield* adoptions(own)), ...(adopting === undefined ? [] : [adopting.adoption])]
    const goneTo = yield* reader.pruned().upTo
    const bad = leaves.filter((leaf) => leaf.seq > goneTo(leaf.chain) && !isExcused(leaf, leaf.index, excuses))
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
          : [{ chain, seq: covered.seq, index: covered.index }]
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
    const seen = yield* heads
    const recalled = yield* memory.recall
    const first = yield* store.latest
    yield* guard(seen, first, own, options.anew)
    if (!options.anew) yield* guardMemory(first, own, recalled)
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
      yield* Effect.catchTag(
        handOver(store, sink, (note) => isOwn(note, own)),
        "CheckpointSinkError",
        (error) => Effect.logWarning(`${error.message}. ${error.recoveryHint}`)
      )
    }
    yield* reader.remember({ anew: options.anew })
    return yield* store.latest
  })

  return { run, signer, heads, adoptions }
}

/** Others who always win MUST NOT keep a round from ending. */
const maxTurns = 200
const leavesAtOnce = 5_000
const patience = Duration.seconds(2)

const isSound = (frontier: Frontier, root: Uint8Array | null) =>
  isFrontier(frontier) && (root === null ? frontier.size === 0 : sameBytes(rootOfFrontier(frontier, sha256), root))

/** What people are shown of a checkpoint. */
export const shownOf = (checkpoint: StoredCheckpoint) => ({
  size: checkpoint.size,
  root: Hex.encode(checkpoint.root),
  note: checkpoint.notes.find((note) => Result.isSuccess(parseCheckpoint(note))) ?? null,
  ageMs: Math.round(checkpoint.ageMs)
})
