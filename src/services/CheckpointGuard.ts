import { type Duration, Effect, Option, Result } from "effect"
import { Hex } from "effect/encoding"
import { type CheckpointBody, noteStatus } from "../schema/Checkpoint.ts"
import { type Adoption, answers } from "../schema/CheckpointEntry.ts"
import { CheckpointSinkError, OtherIdentity, RolledBack } from "../schema/CheckpointError.ts"
import { emptyLog, step } from "../schema/CheckpointWalk.ts"
import { formatVerifierKey, parseNote } from "../schema/SignedNote.ts"
import { sha256 } from "./CheckpointKey.ts"
import { type CheckpointReader, claimOf } from "./CheckpointReader.ts"
import { type CheckpointSink, type CheckpointWitness, isWitness, type SinkHead } from "./CheckpointSink.ts"
import type { CheckpointStore, StoredCheckpoint } from "./CheckpointStore.ts"
import type { Remembered } from "./RememberedCheckpoint.ts"
import { isByOurKey, type Signer } from "./WitnessHandOver.ts"

/** Whether our key has signed it under the name of this log. */
export const isOwn = (note: string, { crypto, key }: Signer): boolean =>
  Result.match(parseNote(note), {
    onFailure: () => false,
    onSuccess: (signed) => noteStatus(signed, key, crypto) === "valid"
  })

/** What this key has answered for. */
export const adoptionsBy = (store: CheckpointStore["Service"], own: Signer) =>
  Effect.map(
    store.adoptions,
    (notes) =>
      notes.reduce(
        (state, note) => step(state, { _tag: "Adoption", note }, { key: own.key, ...own.crypto }, new Map()),
        emptyLog
      ).adoptions
  )

/** How far every sink is. A witness is somebody else's machine, so it is waited for no longer than that. */
export const headsOf = (sinks: ReadonlyArray<CheckpointSink>, patience: Duration.Input) =>
  Effect.forEach(sinks, (sink) => {
    const asked = isWitness(sink)
      ? Effect.timeoutOrElse(sink.head, {
          duration: patience,
          orElse: () => Effect.fail(new CheckpointSinkError({ sink: sink.name, problem: "unreachable" }))
        })
      : sink.head
    return Effect.map(Effect.result(asked), (head) => ({ sink, head }))
  })
type Heads = Effect.Success<ReturnType<typeof headsOf>>

/** What left the database before MUST still be in it: a sink is only ever given what was committed. Fails with what speaks against going on. */
export const make = ({ store }: CheckpointReader) => {
  const stands = (size: number, root: string) =>
    Effect.map(store.checkpoints(size - 1, 1), ([ours]) => ours?.size === size && Hex.encode(ours.root) === root)

  const compare = Effect.fnUntraced(function* (
    sink: CheckpointSink,
    note: string,
    claim: CheckpointBody,
    latest: StoredCheckpoint | null,
    own: Signer,
    anew: boolean
  ) {
    const { size } = claim
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
    if (!(yield* stands(size, Hex.encode(claim.root)))) {
      return yield* new RolledBack({ finding: `its checkpoint ${size} is not the one in ${sink.name}` })
    }
  })

  const bySinks = Effect.fnUntraced(function* (
    seen: Heads,
    latest: StoredCheckpoint | null,
    own: Signer,
    options: { readonly anew: boolean; readonly adopting: Adoption | null }
  ) {
    // Witnesses first: people on the other side should hear of it whatever a file here says.
    const inOrder = [...seen].sort((left, right) => Number(isWitness(right.sink)) - Number(isWitness(left.sink)))
    for (const { head, sink } of inOrder) {
      if (Result.isFailure(head) || head.success === null || head.success.note === null) continue
      const { note } = head.success
      const claim = Option.getOrUndefined(claimOf(note))
      if (claim === undefined) continue
      if (!isWitness(sink)) {
        // A file reaches as far as it was read, whatever its last note claims.
        yield* compare(sink, note, { ...claim, size: head.success.size }, latest, own, options.anew)
        continue
      }
      // Only our own signature proves that the log was there once: everything else anybody could say.
      if (!isByOurKey(note, own)) continue
      const excuses = [...(yield* adoptionsBy(store, own)), ...(options.adopting === null ? [] : [options.adopting])]
      if (answers(excuses, { size: claim.size, root: Hex.encode(claim.root) }) !== undefined) continue
      yield* Effect.tapError(compare(sink, note, claim, latest, own, options.anew), () =>
        tell(sink, head.success, latest, own)
      )
    }
    if (!options.anew && latest !== null && latest.notes.length > 0 && !latest.notes.some((note) => isOwn(note, own))) {
      return yield* new OtherIdentity({ finding: "its latest checkpoint was not signed with this checkpoint key" })
    }
  })

  const byMemory = Effect.fnUntraced(function* (
    latest: StoredCheckpoint | null,
    own: Signer,
    recalled: Remembered | null
  ) {
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
    if (recalled.size > 0 && !(yield* stands(recalled.size, recalled.root))) {
      return yield* new RolledBack({ finding: `its checkpoint ${recalled.size} is not the one that was seen before` })
    }
  })

  return { bySinks, byMemory }
}

const tell = (
  witness: CheckpointWitness,
  head: SinkHead | null,
  latest: StoredCheckpoint | null,
  own: Signer
): Effect.Effect<void> => {
  const note = latest?.notes.find((each) => isOwn(each, own))
  return note === undefined || head === null ? Effect.void : Effect.ignore(witness.report(note, head))
}
