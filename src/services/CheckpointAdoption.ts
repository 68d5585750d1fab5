import { Clock, DateTime, Effect, Option, Result, Schema, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import { type Adoption, adoptionText } from "../schema/CheckpointEntry.ts"
import { OtherIdentity, RolledBack } from "../schema/CheckpointError.ts"
import type { Disagreement } from "../schema/CheckpointVerdict.ts"
import { emptyLog, finish, type LogState, step } from "../schema/CheckpointWalk.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { EventId, OperatorId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { emptyFrontier, rootOfFrontier } from "../schema/Merkle.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import { formatNote, noteKeyId } from "../schema/SignedNote.ts"
import { StoreError } from "../schema/StoreError.ts"
import { sha256 } from "./CheckpointKey.ts"
import { type CheckpointReader, claimOf } from "./CheckpointReader.ts"
import type * as CheckpointRound from "./CheckpointRound.ts"
import { type CheckpointLog, isWitness } from "./CheckpointSink.ts"
import * as LeafCheck from "./LeafCheck.ts"
import { isByOurKey } from "./WitnessHandOver.ts"

export interface AdoptInput {
  readonly by: string
  readonly reason: string
}

/**
 * Answers for a restored backup. What the sinks know and the database lost of the checkpoints themselves is taken back
 * into it, so that one log goes on and no size is ever signed twice; the rows that are lost are named in a signed statement
 * and in chain `operator`, and every later verification says so.
 */
export const make = Effect.fnUntraced(function* (
  reader: CheckpointReader,
  round: ReturnType<typeof CheckpointRound.make>
) {
  const { audit, store } = reader
  const random = yield* SecureRandom.SecureRandom

  const retake = Effect.fnUntraced(function* (sink: CheckpointLog, own: Effect.Success<typeof round.signer>) {
    const latest = yield* store.latest
    const roots = new Map<number, string>()
    const judge = { key: own.key, ...own.crypto }
    const unreadable = (finding: string) => new RolledBack({ finding })
    const state = yield* sink.read.pipe(
      Stream.runFold(
        (): LogState => emptyLog,
        (before, entry) => step(before, entry, judge, roots)
      ),
      Effect.map(finish),
      Effect.mapError((error) => unreadable(error.message))
    )
    if (state.frontier.size <= (latest?.size ?? 0)) return
    if (state.problem !== null || state.otherKey) {
      return yield* unreadable(`${sink.name} is ahead of it, but damaged or signed with another key`)
    }
    if (latest !== null && roots.get(latest.size) !== Hex.encode(latest.root)) {
      return yield* unreadable(
        `${sink.name} and the database have both gone on. Keep ${sink.name} as evidence in another place: a new one will be made`
      )
    }
    const adopted = new Set(yield* store.adoptions)
    const walked = new Map<number, string>()
    let at = emptyLog
    yield* Stream.runForEach(sink.read, (entry) =>
      Effect.gen(function* () {
        const { adoptions, frontier: before } = at
        at = step(at, entry, judge, walked)
        // Only one that this key signed counts as a step.
        const earlier = at.adoptions.at(-1)
        if (entry._tag === "Adoption" && at.adoptions.length > adoptions.length && !adopted.has(entry.note)) {
          yield* store.adopt(yield* random.uuidV7(), earlier?.size ?? 0, entry.note)
        }
        if (entry._tag !== "Checkpoint" || at.frontier.size === before.size || before.size < (latest?.size ?? 0)) return
        yield* Effect.catchIf(
          store.retake({ previous: before.size, leaves: entry.leaves }),
          ({ problem }) => problem === "refused",
          () => Effect.fail(notOwner)
        )
        for (const note of entry.notes) yield* store.note(at.frontier.size, note)
      })
    ).pipe(Effect.catchTag("CheckpointSinkError", (error) => Effect.fail(unreadable(error.message))))
  })

  const record = Effect.fnUntraced(function* (adoption: Adoption) {
    const { lost, ...facts } = adoption
    const id = EventId.make(yield* random.uuidV7())
    const told = lost.slice(0, 100).map(({ after, chain }) => ({ after, chain }))
    yield* audit.append(
      operatorDraft(id, yield* Clock.currentTimeMillis, "audit.checkpoint_adopted", {
        ...facts,
        chains: lost.length,
        lost: told
      })
    )
    return id
  })

  return Effect.fn("Checkpoints.adopt")(function* (input: AdoptInput) {
    const by = yield* Effect.mapError(
      decodeOperator(input.by),
      () => new InvalidInput({ field: "by", problem: "must have 1 to 256 visible characters" })
    )
    if (input.reason.trim() === "" || input.reason.length > 2_000 || !isPlain(input.reason)) {
      return yield* new InvalidInput({ field: "reason", problem: "must be text of 1 to 2000 characters on one line" })
    }
    const own = yield* round.signer
    const witnessed: Array<{ readonly size: number; readonly root: string }> = []
    for (const { head, sink } of yield* round.heads) {
      const note = Result.isSuccess(head) ? head.success?.note : undefined
      // What a witness says counts where our key has signed it: nobody else's word may keep an operator from this.
      if (isWitness(sink) && (note == null || !isByOurKey(note, own))) continue
      const claim = note == null ? undefined : Option.getOrUndefined(claimOf(note))
      if (claim !== undefined && claim.origin !== own.key.name) {
        return yield* new OtherIdentity({ finding: `${sink.name} belongs to ${claim.origin}, this is ${own.key.name}` })
      }
      if (!isWitness(sink)) yield* retake(sink, own)
      else if (claim !== undefined) witnessed.push({ size: claim.size, root: Hex.encode(claim.root) })
    }
    const latest = yield* store.latest
    const size = latest?.size ?? 0
    const earlier = yield* round.adoptions(own)
    const { disagreements } = yield* LeafCheck.check(store, reader.pruned(), reader.databaseLog, size, earlier)
    const adoption: Adoption = {
      origin: own.key.name,
      size,
      by,
      reason: input.reason,
      at: DateTime.formatIso(yield* DateTime.now),
      lost: lostOf(disagreements),
      ...(witnessed.length === 0 ? {} : { witnessed })
    }
    const root = latest?.root ?? rootOfFrontier(emptyFrontier, sha256)
    const text = adoptionText(adoption, root)
    const note = formatNote(text, [
      {
        name: own.key.name,
        keyId: noteKeyId(own.key.name, own.key.publicKey, sha256),
        signature: own.key.sign(new TextEncoder().encode(text))
      }
    ])
    if (Result.isFailure(note) || note.success.length > 1_000_000) {
      return yield* StoreError.because(
        { store: "CheckpointStore", operation: "adopt", problem: "refused" },
        "too many chains for one statement"
      )
    }
    const keep = Effect.gen(function* () {
      // The log says it first: an adoption that nobody can read about MUST NOT count.
      yield* store.adopt(yield* record(adoption), size, note.success)
    })
    const checkpoint = yield* round.run({ anew: true, withinMs: null, adopting: { adoption, keep } })
    return { adoption, checkpoint }
  })
})

const decodeOperator = Schema.decodeUnknownEffect(OperatorId)

const isPlain = (text: string) => text.isWellFormed() && !/\p{Cc}/u.test(text)

/** What no program may put in, since nothing stored bears it out. */
const notOwner = new ConfigurationError({
  setting: "GOVERNANCE_DATABASE_URL",
  problem: "has not the rights to take lost checkpoints back: connect as the role that ran `governance migrate`"
})

/** What is gone of each chain: everything from the first leaf on that its rows do not bear out, or from its end on. */
const lostOf = (disagreements: ReadonlyArray<Disagreement>): Adoption["lost"] => {
  const after = new Map<string, number>()
  for (const { chain, kind, lastSeq, seq } of disagreements) {
    const last = kind === "rewritten" ? seq - 1 : Math.min(seq - 1, lastSeq)
    after.set(chain, Math.min(last, after.get(chain) ?? last))
  }
  return [...after].map(([chain, last]) => ({ chain, after: last }))
}
