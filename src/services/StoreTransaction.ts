import { Context, Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"

/**
 * Makes a change of state and its audit row one unit: both are committed, or neither (halt, and later: decide, rotate, revoke).
 * Rare acts only: it holds a connection of its own. Order inside: the concern's row first, then the chain's head.
 */
export class StoreTransaction extends Context.Service<
  StoreTransaction,
  {
    readonly run: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  }
>()("effect-governance/services/StoreTransaction") {}

/** What is to be done once the transaction that the current fiber is in has committed; null outside of one. */
export const AfterCommit = Context.Reference<Array<Effect.Effect<void>> | null>(
  "effect-governance/services/AfterCommit",
  { defaultValue: () => null }
)

/** A store's own `run`, with what was put into `AfterCommit` done after the commit, by itself: nobody waits for it. */
export const announcing =
  (run: StoreTransaction["Service"]["run"]): StoreTransaction["Service"]["run"] =>
  (self) =>
    Effect.flatMap(AfterCommit, (outer) => {
      const waiting = outer ?? []
      const before = waiting.length
      const ran = Effect.tapCause(run(Effect.provideService(self, AfterCommit, waiting)), () =>
        Effect.sync(() => waiting.splice(before))
      )
      return outer === null
        ? Effect.tap(ran, () => Effect.forEach(waiting, (each) => Effect.forkDetach(each), { discard: true }))
        : ran
    })
