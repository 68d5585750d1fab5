import { Schema } from "effect"
import type { ScopeTarget } from "./AgentScope.ts"
import type { CapState } from "./Cost.ts"
import type { ActionHash, GateRequestId } from "./GateRequest.ts"
import type { AgentId, SessionId, TicketId } from "./Ids.ts"
import type { LoopStep } from "./Loop.ts"
import type { NanoUsd } from "./Money.ts"
import type { Halt } from "./Presence.ts"

/** Tokens by class as every provider's usage is brought to (`integrations.md` 7). Classes that a provider does not report are 0. */
export const Usage = Schema.Struct({
  model: Schema.String,
  inputTokens: Schema.Int,
  outputTokens: Schema.Int,
  cachedInputTokens: Schema.optionalKey(Schema.Int),
  cacheWriteTokens: Schema.optionalKey(Schema.Int),
  /** Part of `cacheWriteTokens`: written to stay for an hour, which costs more. */
  cacheWrite1hTokens: Schema.optionalKey(Schema.Int),
  reasoningTokens: Schema.optionalKey(Schema.Int)
})
export type Usage = typeof Usage.Type

/** What is set aside before the call. `Remaining` takes the smallest remaining cap whole: the call runs alone (DEC-21). */
export type Hold =
  | { readonly _tag: "Exact"; readonly usd: NanoUsd; readonly tokens: bigint }
  | { readonly _tag: "Remaining" }

/** What admission is asked, with ids chosen by the client so that a retry is the same request. */
export interface Admission {
  readonly ticket: TicketId
  readonly root: AgentId
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  /** The name that loop windows count by, lower-cased (LOP-02); null is not counted. */
  readonly tool: string | null
  readonly signature: string
  readonly hold: Hold
  readonly leaseMs: number
  /** What the sweep needs to write the evidence of a call whose process died: plain JSON, small. */
  readonly facts: CallFacts
  /** The grant that this call uses up with its admission; absent where no person was asked. */
  readonly approval?: UsedApproval | undefined
}

/** A grant as it was read and verified: admission uses it up only while it is still exactly this one (T-18). */
export interface UsedApproval {
  readonly requestId: GateRequestId
  readonly mac: string
  readonly actionHash: ActionHash
}

export interface CallFacts {
  readonly kind: ScopeTarget["kind"]
  readonly name: string
  readonly model: string | null
  readonly inputHash: string | null
  /** The request for approval that the call used up. */
  readonly approval?: GateRequestId | undefined
}

/** What admission answered. Data, not errors: the service makes the typed refusal of it. */
export type Verdict =
  | {
      readonly _tag: "Admitted"
      readonly heldUsd: NanoUsd
      readonly heldTokens: bigint
      /** The UTC date that is charged, by the database's clock. */
      readonly day: string
      /**
       * The agent's last admitted calls of a `tool` in this session before this one, oldest first, at most 32; calls that
       * were settled as refused are left out, and so are calls whose `tool` is null. Complete only where this call has a
       * `tool` and the agent's loop policy has `progress`: nobody else looks at them.
       */
      readonly recent: ReadonlyArray<LoopStep>
      /** Set when the count is over the limit and the policy only logs. */
      readonly loop: LoopCount | null
    }
  | { readonly _tag: "Halted"; readonly halt: Halt }
  | { readonly _tag: "Looping"; readonly loop: LoopCount }
  | { readonly _tag: "Short"; readonly short: CapState; readonly requested: bigint }
  /** The approval is not, or not any more, what the call said of it. Nothing was held or used up. */
  | { readonly _tag: "Unapproved" }

export interface LoopCount {
  readonly count: number
  readonly maxCalls: number
  readonly windowSeconds: number
}

/** How a ticket ended. `Refused`: it never started, so its hold is given back. `Orphaned`: nobody knows, so the hold is charged. */
export type Settlement =
  | {
      readonly _tag: "Spent"
      readonly usd: NanoUsd
      readonly tokens: bigint
      readonly model: string | null
      readonly resultHash: string | null
    }
  | { readonly _tag: "Held"; readonly resultHash: string | null }
  | { readonly _tag: "Refused" }
  | { readonly _tag: "Orphaned" }

/** `late`: an orphan's charge was replaced by what was really spent; `already`: this ticket was settled before. */
export interface Settled {
  readonly usd: NanoUsd
  readonly tokens: bigint
  readonly outcome: "settled" | "late" | "already" | "unknown"
}

/** A ticket whose lease has ended without an outcome. */
export interface ExpiredTicket {
  readonly ticket: TicketId
  readonly root: AgentId
  readonly agentId: AgentId
  readonly sessionId: SessionId | null
  readonly heldUsd: NanoUsd
  readonly heldTokens: bigint
  readonly openedAtMs: number
  readonly facts: CallFacts
}
