import { createHash } from "node:crypto"
import { Clock, Context, Effect, Layer, Option, Result } from "effect"
import { Hex } from "effect/encoding"
import type { CheckpointLeaf } from "../schema/Checkpoint.ts"
import { parseCheckpoint } from "../schema/Checkpoint.ts"
import { hexBytes } from "../schema/HexBytes.ts"
import type { StoreError } from "../schema/StoreError.ts"
import {
  type AdoptionVerdict,
  judgeAdoption,
  parseWitnessAdoption,
  type ShownAdoption
} from "../schema/WitnessAdoption.ts"
import {
  chainThatWentBack,
  judgeShown,
  type ShownCheckpoint,
  type WitnessProblem,
  type WitnessVerdict
} from "../schema/WitnessVerdict.ts"
import type { WorkflowPlace } from "../schema/Workspace.ts"
import { noteCrypto } from "../services/CheckpointKey.ts"
import { type Witnessed, WitnessStore } from "../services/WitnessStore.ts"

/**
 * Remembers the checkpoints of other people's logs, and refuses those that do not continue what it remembers (BEY-04, P-04).
 * What it refuses it keeps, as an alarm with both notes.
 */
export class Witness extends Context.Service<
  Witness,
  {
    readonly show: (place: WorkflowPlace, shown: ShownCheckpoint) => Effect.Effect<WitnessVerdict, StoreError>
    /**
     * Goes on from another state than it holds, because whoever has the key of the log answers for it. Alarms stay; null for
     * a log that was never seen here, or a text that is no such statement.
     */
    readonly adopt: (place: WorkflowPlace, shown: ShownAdoption) => Effect.Effect<AdoptionVerdict | null, StoreError>
  }
>()("effect-governance/platform/Witness") {}

export const make = Effect.gen(function* () {
  const store = yield* WitnessStore

  const raise = Effect.fnUntraced(function* (
    place: WorkflowPlace,
    what: {
      readonly origin: string
      readonly problem: WitnessProblem
      readonly note: string
      readonly held: Witnessed | null
    },
    nowMs: number
  ) {
    yield* store.raise(place, {
      // The same refusal is one alarm, however often it is tried.
      alarm: idOf(`${what.problem}\n${what.note}`),
      origin: what.origin.slice(0, 512),
      problem: what.problem,
      note: what.note,
      keptNote: what.held?.note ?? null,
      seenMs: nowMs
    })
    yield* Effect.logWarning(`A checkpoint of workflow ${place.workflow} was refused: ${what.problem}`)
  })

  const look = Effect.fnUntraced(function* (place: WorkflowPlace, shown: ShownCheckpoint) {
    const origin = Result.match(parseCheckpoint(shown.note), {
      onFailure: () => null,
      onSuccess: ({ body }) => body.origin
    })
    const held = origin === null ? null : yield* store.find(place, origin)
    const verdict = judgeShown(shown, held === null ? null : heldOf(held), noteCrypto)
    const named = namedOf(shown)
    if (verdict._tag !== "Consistent" || named.length === 0) return { held, verdict }
    const names = [...new Set(named.map(({ chain }) => chain))]
    const back = chainThatWentBack(named, yield* store.chains(place, verdict.origin, names))
    const refused: WitnessVerdict = { _tag: "Refused", problem: "chain_went_back", origin: verdict.origin }
    return { held, verdict: back === undefined || !verdict.isNew ? verdict : refused }
  })

  const attempt = Effect.fnUntraced(function* (place: WorkflowPlace, shown: ShownCheckpoint, nowMs: number) {
    const { held, verdict } = yield* look(place, shown)
    if (verdict._tag === "Refused" && verdict.origin !== null) {
      yield* raise(place, { origin: verdict.origin, problem: verdict.problem, note: shown.note, held }, nowMs)
    }
    if (verdict._tag !== "Consistent" || !verdict.isNew) return verdict
    const { frontier, origin, root, size } = verdict
    const { note, verifierKey } = shown
    const peaks = frontier === null ? null : frontier.peaks.map((peak) => Hex.encode(peak))
    const to: Witnessed = { origin, verifierKey, size, root: Hex.encode(root), frontier: peaks, note, seenMs: nowMs }
    const moved = new Map(namedOf(shown).map(({ chain, hash, seq }) => [chain, { chain, seq, hash: Hex.encode(hash) }]))
    return (yield* store.advance(place, held, to, [...moved.values()])) ? verdict : null
  })

  const move = Effect.fnUntraced(function* (
    place: WorkflowPlace,
    held: Witnessed,
    { adoption, frontier }: Extract<AdoptionVerdict, { readonly _tag: "Adopted" }>,
    shown: ShownAdoption,
    nowMs: number
  ) {
    const { at, by, origin, reason, root, size } = adoption
    const peaks = frontier.peaks.map((peak) => Hex.encode(peak))
    const note = shown.checkpoint ?? shown.statement
    return yield* store.adopt(
      place,
      held,
      { ...held, size, root: Hex.encode(root), frontier: peaks, note, seenMs: nowMs },
      {
        adoption: idOf(shown.statement),
        origin,
        statement: shown.statement,
        keptNote: held.note,
        fromSize: held.size,
        ...{ size, by, reason, at },
        seenMs: nowMs
      }
    )
  })

  return Witness.of({
    show: Effect.fn("Witness.show")(function* (place, shown) {
      const nowMs = yield* Clock.currentTimeMillis
      // Persisted before it is answered, and never over what somebody else has put there in between.
      for (let tries = 0; tries < 3; tries++) {
        const verdict = yield* attempt(place, shown, nowMs)
        if (verdict !== null) return verdict
      }
      const moved: WitnessVerdict = { _tag: "Stale", size: shown.oldSize }
      return moved
    }),
    adopt: Effect.fn("Witness.adopt")(function* (place, shown) {
      const nowMs = yield* Clock.currentTimeMillis
      const statement = Option.getOrUndefined(parseWitnessAdoption(shown.statement))
      if (statement === undefined) return null
      for (let tries = 0; tries < 3; tries++) {
        const held = yield* store.find(place, statement.origin)
        if (held === null) return null
        // It was told before, and the answer got lost: nothing is to be done twice.
        const known = yield* store.adoptions(place, 100)
        const verdict = judgeAdoption(shown, statement, heldOf(held), noteCrypto)
        if (verdict._tag === "Stale" && known.some(({ adoption }) => adoption === idOf(shown.statement))) {
          const again: AdoptionVerdict = { _tag: "Adopted", adoption: statement, frontier: { size: 0, peaks: [] } }
          return again
        }
        if (verdict._tag === "Refused") {
          yield* raise(place, { ...verdict, note: shown.statement, held }, nowMs)
          return verdict
        }
        if (verdict._tag === "Stale" || (yield* move(place, held, verdict, shown, nowMs))) return verdict
      }
      const moved: AdoptionVerdict = { _tag: "Stale", size: statement.size }
      return moved
    })
  })
})

export const layer = Layer.effect(Witness, make)

const idOf = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 32)

/** The leaves that say which row of which chain they are. */
const namedOf = ({ leaves }: ShownCheckpoint): ReadonlyArray<CheckpointLeaf> =>
  (leaves ?? []).flatMap((leaf) => ("leafHash" in leaf ? [] : [leaf]))

const heldOf = ({ frontier, root, size, verifierKey }: Witnessed) => ({
  verifierKey,
  size,
  root: hexBytes(root),
  frontier: frontier === null ? null : { size, peaks: frontier.map(hexBytes) }
})
