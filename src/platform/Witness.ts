import { createHash } from "node:crypto"
import { Clock, Context, Effect, Layer, Result } from "effect"
import { Hex } from "effect/encoding"
import type { VerifyBytes } from "../schema/Checkpoint.ts"
import { parseCheckpoint } from "../schema/Checkpoint.ts"
import type { Sha256 } from "../schema/Merkle.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { chainThatWentBack, judgeShown, type ShownCheckpoint, type WitnessVerdict } from "../schema/WitnessVerdict.ts"
import type { WorkflowPlace } from "../schema/Workspace.ts"
import { isSignedBy, publicKeyFrom } from "../services/Ed25519.ts"
import { type Witnessed, WitnessStore } from "../services/WitnessStore.ts"

/**
 * Remembers the checkpoints of other people's logs, and refuses those that do not continue what it remembers (BEY-04, P-04).
 * What it refuses it keeps, as an alarm with both notes.
 */
export class Witness extends Context.Service<
  Witness,
  { readonly show: (place: WorkflowPlace, shown: ShownCheckpoint) => Effect.Effect<WitnessVerdict, StoreError> }
>()("effect-governance/platform/Witness") {}

export const make = Effect.gen(function* () {
  const store = yield* WitnessStore

  const look = Effect.fnUntraced(function* (place: WorkflowPlace, shown: ShownCheckpoint) {
    const origin = Result.match(parseCheckpoint(shown.note), {
      onFailure: () => null,
      onSuccess: ({ body }) => body.origin
    })
    const held = origin === null ? null : yield* store.find(place, origin)
    const verdict = judgeShown(shown, held === null ? null : heldOf(held), { sha, verify })
    if (verdict._tag !== "Consistent" || shown.leaves === null || shown.leaves.length === 0) return { held, verdict }
    const names = [...new Set(shown.leaves.map(({ chain }) => chain))]
    const back = chainThatWentBack(shown.leaves, yield* store.chains(place, verdict.origin, names))
    const refused: WitnessVerdict = { _tag: "Refused", problem: "chain_went_back", origin: verdict.origin }
    return { held, verdict: back === undefined || !verdict.isNew ? verdict : refused }
  })

  const attempt = Effect.fnUntraced(function* (place: WorkflowPlace, shown: ShownCheckpoint, nowMs: number) {
    const { held, verdict } = yield* look(place, shown)
    if (verdict._tag === "Refused" && verdict.origin !== null) {
      yield* store.raise(place, {
        // The same refusal is one alarm, however often it is tried.
        alarm: createHash("sha256").update(`${verdict.problem}\n${shown.note}`).digest("hex").slice(0, 32),
        origin: verdict.origin.slice(0, 512),
        problem: verdict.problem,
        note: shown.note,
        keptNote: held?.note ?? null,
        seenMs: nowMs
      })
      yield* Effect.logWarning(`A checkpoint of workflow ${place.workflow} was refused: ${verdict.problem}`)
    }
    if (verdict._tag !== "Consistent" || !verdict.isNew) return verdict
    const { frontier, origin, root, size } = verdict
    const { note, verifierKey } = shown
    const peaks = frontier === null ? null : frontier.peaks.map((peak) => Hex.encode(peak))
    const to: Witnessed = { origin, verifierKey, size, root: Hex.encode(root), frontier: peaks, note, seenMs: nowMs }
    const moved = new Map(
      (shown.leaves ?? []).map(({ chain, hash, seq }) => [chain, { chain, seq, hash: Hex.encode(hash) }])
    )
    return (yield* store.advance(place, held, to, [...moved.values()])) ? verdict : null
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
    })
  })
})

export const layer = Layer.effect(Witness, make)

const sha: Sha256 = (bytes) => Uint8Array.from(createHash("sha256").update(bytes).digest())

const verify: VerifyBytes = (publicKey, bytes, signature) =>
  isSignedBy(publicKeyFrom(publicKey), new TextDecoder().decode(bytes), signature)

const heldOf = ({ frontier, root, size, verifierKey }: Witnessed) => ({
  verifierKey,
  size,
  root: bytesOf(root),
  frontier: frontier === null ? null : { size, peaks: frontier.map(bytesOf) }
})

const bytesOf = (hex: string) => Result.getOrElse(Hex.decode(hex), () => new Uint8Array(0))
