import { Effect, Layer } from "effect"
import { operatorChain } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { CheckpointStore } from "./CheckpointStore.ts"
import { Checkpoints } from "./Checkpoints.ts"
import { CheckpointCoverage, CheckpointObjections } from "./RetentionReport.ts"

/**
 * A seal is in a signed checkpoint before its rows go, so that nobody can move the range afterwards (BEY-04, A-29); one is made
 * where it is not yet. Without a checkpoint key rows go all the same, and that is said.
 */
export const make = Effect.gen(function* () {
  const checkpoints = yield* Checkpoints
  const store = yield* CheckpointStore

  /** The newest leaf of chain `operator` in the tree of that size. A seal is young: it is found near the end. */
  const coveredTo = Effect.fnUntraced(function* (size: number): Effect.fn.Return<number, StoreError> {
    for (let to = size; to > 0; to -= pageSize) {
      const leaf = (yield* store.leaves(Math.max(0, to - pageSize), to)).findLast(
        ({ chain }) => chain === operatorChain
      )
      if (leaf !== undefined) return leaf.seq
    }
    return 0
  })

  let said = false
  const unsigned = Effect.suspend(() => {
    if (said) return Effect.succeed(true)
    said = true
    return Effect.as(
      Effect.logWarning("Rows are pruned under seals that no checkpoint covers: GOVERNANCE_CHECKPOINT_KEY is not set"),
      true
    )
  })

  return Effect.fnUntraced(
    function* (sealSeq: number) {
      const made = yield* checkpoints.make
      return made !== null && (yield* coveredTo(made.size)) >= sealSeq
    },
    Effect.catchTag("ConfigurationError", () => unsigned),
    // Somebody has to act before anything is signed, so nothing is deleted either.
    Effect.catchTag(["RolledBack", "OtherIdentity", "CheckpointContradicted"], (error) =>
      Effect.as(Effect.logError(`${error.message}. ${error.recoveryHint}`), false)
    )
  )
})

/** No row goes that a checkpoint contradicts: a seal over it would take away what shows it. */
const objections = Effect.map(Checkpoints, (checkpoints) =>
  Effect.map(checkpoints.examine(), ({ findings }) => new Set(findings.flatMap(({ chain }) => chain ?? [])))
)

export const layer = Layer.merge(Layer.effect(CheckpointCoverage, make), Layer.effect(CheckpointObjections, objections))

const pageSize = 1_000
