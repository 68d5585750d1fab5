import { Context, Effect, Layer } from "effect"
import { Identifier } from "../schema/Identifier.ts"
import { AgentId, ChainId, OperatorId, SessionId } from "../schema/Ids.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import type { HoldScope, LegalHold } from "../schema/LegalHold.ts"
import { RetentionRefused } from "../schema/RetentionError.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument, reasonOf } from "./Arguments.ts"
import { ChainKeys } from "./ChainKeys.ts"
import * as OperatorRow from "./OperatorRow.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { RetentionStore } from "./RetentionStore.ts"
import { StoreTransaction } from "./StoreTransaction.ts"
import { referenceOf } from "./SubjectReference.ts"

/** What a hold stands on, who acts, and why. */
export interface HoldOrder {
  readonly scope: HoldScope
  readonly name: string
  readonly by: string
  readonly reason: string
}

/** Keeps chains, agents, sessions and subjects from being pruned or erased. Each change has its row in chain `operator`. */
export class LegalHolds extends Context.Service<
  LegalHolds,
  {
    /** False when a hold stands there already; it keeps its first reason. */
    readonly set: (order: HoldOrder) => Effect.Effect<boolean, InvalidInput | StoreError>
    /** False when none stands there. Needs the owner's connection. */
    readonly release: (order: HoldOrder) => Effect.Effect<boolean, InvalidInput | RetentionRefused | StoreError>
    readonly list: Effect.Effect<ReadonlyArray<LegalHold>, StoreError>
  }
>()("effect-governance/services/LegalHolds") {}

export const make = Effect.gen(function* () {
  const store = yield* RetentionStore
  const transaction = yield* StoreTransaction
  const reference = referenceOf(yield* ChainKeys)
  const record = yield* OperatorRow.make

  const decode = Effect.fnUntraced(function* (order: HoldOrder) {
    const name: string = yield* decodeArgument(names[order.scope], order.scope, order.name)
    const by = yield* decodeArgument(OperatorId, "by", order.by)
    return { scope: order.scope, name, by, reason: yield* reasonOf(order.reason) }
  })

  /** A subject's name stays out of the log, which nobody could erase it from. */
  const facts = ({ by, name, reason, scope }: HoldOrder) => ({
    by,
    reason,
    scope,
    ...(scope === "subject" ? { subject: reference(name) } : { name })
  })

  return LegalHolds.of({
    set: Effect.fn("LegalHolds.set")(function* (given) {
      const order = yield* decode(given)
      return yield* transaction.run(
        Effect.tap(store.setHold(order), (isNew) =>
          isNew ? record("audit.legal_hold_set", facts(order)) : Effect.void
        )
      )
    }),
    release: Effect.fn("LegalHolds.release")(function* (given) {
      const order = yield* decode(given)
      return yield* transaction.run(
        Effect.gen(function* () {
          const result = yield* store.releaseHold(order.scope, order.name)
          if (result === "NotOwner") return yield* new RetentionRefused({ problem: "notOwner", chain: "", holds: [] })
          if (result === "Released") yield* record("audit.legal_hold_released", facts(order))
          return result === "Released"
        })
      )
    }),
    list: store.holds
  })
})

export const layer = Layer.effect(LegalHolds, make).pipe(Layer.provide(PooledRandom.layer))

const names = { chain: ChainId, agent: AgentId, session: SessionId, subject: Identifier(256) } as const
