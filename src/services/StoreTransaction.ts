import { Context, type Effect } from "effect"
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
