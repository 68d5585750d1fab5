import { Context } from "effect"

/**
 * For whom a fiber asks models and uses tools, where one layer serves many: goes before what the layers of `effect/ai` were made
 * with. `Effect.provideService(Acting, { sessionId: "chat-42" })` around a conversation gives it a budget and an audit chain of its own.
 */
export const Acting = Context.Reference<{
  readonly agentId?: string | undefined
  readonly sessionId?: string | undefined
}>("effect-governance/integrations/Acting", { defaultValue: () => ({}) })
