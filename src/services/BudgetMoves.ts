import { Context, Effect, Layer, PubSub, Stream } from "effect"
import type { AgentId, SessionId } from "../schema/Ids.ts"

/** Amounts that were added without a call, and so without a row of the log: told within this process, to whoever listens. */
export class BudgetMoves extends Context.Service<
  BudgetMoves,
  {
    readonly tell: (agentId: AgentId, sessionId: SessionId | null) => Effect.Effect<void>
    /** From now on. Of more than 1024 that wait the oldest are forgotten. */
    readonly moves: Stream.Stream<{ readonly agentId: AgentId; readonly sessionId: SessionId | null }>
  }
>()("effect-governance/services/BudgetMoves") {}

export const make = Effect.map(
  PubSub.sliding<{ readonly agentId: AgentId; readonly sessionId: SessionId | null }>(1024),
  (told) =>
    BudgetMoves.of({
      tell: (agentId, sessionId) => Effect.asVoid(PubSub.publish(told, { agentId, sessionId })),
      moves: Stream.fromPubSub(told)
    })
)

export const layer = Layer.effect(BudgetMoves, make)
