import { Effect, Option, Result } from "effect"
import { Hex } from "effect/encoding"
import { sameBytes } from "../schema/Chain.ts"
import {
  type CheckpointBody,
  type NoteCrypto,
  noteStatus,
  parseCheckpoint,
  type SignBytes
} from "../schema/Checkpoint.ts"
import { type Adoption, answers, type LogEntry } from "../schema/CheckpointEntry.ts"
import type { CheckpointSinkError } from "../schema/CheckpointError.ts"
import { emptyFrontier, rootOfFrontier } from "../schema/Merkle.ts"
import { standard } from "../schema/Redaction.ts"
import type { NoteKey } from "../schema/SignedNote.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { signWitnessAdoption } from "../schema/WitnessAdoption.ts"
import type { CheckpointWitness } from "./CheckpointSink.ts"
import type { CheckpointStore } from "./CheckpointStore.ts"

/** Who signs this log, and what notes are checked with. */
export interface Signer {
  readonly key: NoteKey & { readonly sign: SignBytes }
  readonly crypto: NoteCrypto
}

/** Whether our key has signed it, under whatever name: what a witness says beyond that could be anybody's word. */
export const isByOurKey = (
  note: string,
  { crypto, key }: { readonly crypto: NoteCrypto; readonly key: Pick<NoteKey, "publicKey"> }
): boolean =>
  Result.match(parseCheckpoint(note), {
    onFailure: () => false,
    onSuccess: (signed) =>
      noteStatus(signed, { name: signed.body.origin, publicKey: key.publicKey }, crypto) === "valid"
  })

/**
 * Shows a witness everything that it has not seen, from its own last size on, 50 checkpoints at a time and 1000 in one round: after
 * a long silence it catches up over several. A state that somebody has answered for is answered first.
 */
export const showWitness = Effect.fnUntraced(function* (
  store: CheckpointStore["Service"],
  witness: CheckpointWitness,
  own: Signer,
  adoptions: ReadonlyArray<Adoption>,
  isOwn: (note: string) => boolean
): Effect.fn.Return<void, StoreError | CheckpointSinkError> {
  const answered = new Set<Adoption>()
  for (let page = 0; page < maxPages; page++) {
    const head = yield* witness.head
    if (head === null) {
      const latest = yield* store.latest
      const note = latest?.notes.find(isOwn)
      if (latest === null || note === undefined) return
      yield* witness.begin(note, latest.peaks)
      continue
    }
    const { size } = head
    const claim = head.note === null ? undefined : Result.getOrUndefined(parseCheckpoint(head.note))?.body
    const adoption =
      claim === undefined ? undefined : answers(adoptions, { size: claim.size, root: Hex.encode(claim.root) })
    if (adoption !== undefined && claim !== undefined && !answered.has(adoption)) {
      answered.add(adoption)
      yield* answerWith(store, witness, own, adoption, claim, isOwn)
      continue
    }
    const [ours] = size === 0 ? [] : yield* store.checkpoints(size - 1, 1)
    const agrees = claim === undefined || (ours?.size === size && sameBytes(ours.root, claim.root))
    // Another key's, or the database was changed under us: shown as it is, so that the refusal has a name.
    if (!agrees) return yield* showLatest(store, witness, size, isOwn)
    const checkpoints = yield* store.checkpoints(size, pageSize)
    const entries: Array<LogEntry> = []
    for (const { notes, previous, size: to } of checkpoints) {
      const note = notes.find(isOwn)
      // Signed with the key before, or not yet: the next note of ours covers its leaves as well.
      const leaves = yield* store.leaves(previous, to)
      entries.push({ _tag: "Checkpoint", previous, notes: note === undefined ? [] : [note], leaves })
    }
    const ready = joined(entries)
    if (ready.length === 0) return
    yield* witness.append(ready)
  }
})

/** Checkpoints without a note of ours lend their leaves to the next that has one. */
const joined = (entries: ReadonlyArray<LogEntry>): ReadonlyArray<LogEntry> => {
  const ready: Array<LogEntry> = []
  let waiting: Extract<LogEntry, { readonly _tag: "Checkpoint" }> | undefined
  for (const entry of entries) {
    if (entry._tag !== "Checkpoint") continue
    const whole =
      waiting === undefined
        ? entry
        : { ...entry, previous: waiting.previous, leaves: [...waiting.leaves, ...entry.leaves] }
    waiting = whole.notes.length === 0 ? whole : undefined
    if (waiting === undefined) ready.push(whole)
  }
  return ready
}

const showLatest = Effect.fnUntraced(function* (
  store: CheckpointStore["Service"],
  witness: CheckpointWitness,
  previous: number,
  isOwn: (note: string) => boolean
) {
  const note = (yield* store.latest)?.notes.find(isOwn)
  if (note !== undefined) yield* witness.append([{ _tag: "Checkpoint", previous, notes: [note], leaves: [] }])
})

/** The reason leaves like everything else: without what looks like a secret. */
const answerWith = Effect.fnUntraced(function* (
  store: CheckpointStore["Service"],
  witness: CheckpointWitness,
  { crypto, key }: Signer,
  { at, by, origin, reason, size }: Adoption,
  from: CheckpointBody,
  isOwn: (note: string) => boolean
) {
  const to = size === 0 ? undefined : (yield* store.checkpoints(size - 1, 1))[0]
  const checkpoint = to?.notes.find(isOwn) ?? null
  if (size > 0 && (to?.size !== size || checkpoint === null)) return
  const statement = signWitnessAdoption(
    {
      origin,
      from: { size: from.size, root: Hex.encode(from.root) },
      size,
      root: to?.root ?? rootOfFrontier(emptyFrontier, crypto.sha),
      by: standard.text(by),
      reason: standard.text(reason),
      at
    },
    key,
    crypto.sha
  )
  yield* Option.match(Result.getSuccess(statement), {
    onNone: () => Effect.void,
    onSome: (signed) => witness.answer({ statement: signed, checkpoint, peaks: to?.peaks ?? [] })
  })
})

const pageSize = 50
const maxPages = 20
