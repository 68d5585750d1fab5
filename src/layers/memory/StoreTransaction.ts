import { Context, Effect, Exit, Layer, Semaphore } from "effect"
import { announcing, StoreTransaction } from "../../services/StoreTransaction.ts"

/** What the current transaction still has to do when it ends. Stores register here what must commit or vanish together. */
export interface Journal {
  readonly onEnd: Array<(committed: boolean) => void>
}

/** The journal of the transaction that the current fiber is in; null outside. */
export const CurrentJournal = Context.Reference<Journal | null>("effect-governance/layers/memory/CurrentJournal", {
  defaultValue: () => null
})

/** One transaction at a time; a nested one joins the outer. */
export const make = Effect.sync(() => {
  const one = Semaphore.makeUnsafe(1)
  return StoreTransaction.of({
    run: announcing((self) =>
      Effect.flatMap(CurrentJournal, (outer) => {
        if (outer !== null) return self
        const journal: Journal = { onEnd: [] }
        return one.withPermit(
          Effect.onExit(Effect.provideService(self, CurrentJournal, journal), (exit) =>
            Effect.sync(() => {
              const committed = Exit.isSuccess(exit)
              for (const end of journal.onEnd) end(committed)
            })
          )
        )
      })
    )
  })
})

export const layer = Layer.effect(StoreTransaction, make)
