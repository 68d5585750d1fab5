import { Context, type Effect } from "effect"
import type { LoopCount } from "../schema/Call.ts"
import type { AgentId, SessionId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** Sliding windows per agent, session and tool, shared by every process and with admission. */
export class LoopStore extends Context.Service<
  LoopStore,
  {
    /** Counts one call by the stored policy; null when the agent has none. */
    readonly record: (
      agentId: AgentId,
      sessionId: SessionId | null,
      tool: string
    ) => Effect.Effect<(LoopCount & { readonly action: "raise" | "log" }) | null, StoreError>
    /** The fullest window of the session, without counting; null when the agent has no policy. */
    readonly peek: (agentId: AgentId, sessionId: SessionId | null) => Effect.Effect<LoopCount | null, StoreError>
  }
>()("effect-governance/services/LoopStore") {}
