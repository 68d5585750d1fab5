import type { Time } from "./Call.ts"
import type { Json } from "./Json.ts"

/** Who is alive, and the halt switch. */
export interface Presence {
  /** Marks the agent live; every 30 seconds is a good cadence. Say who operates it: that person cannot approve for it. */
  heartbeat(
    agentId: string,
    options?: { readonly metadata?: Record<string, unknown>; readonly operatorId?: string }
  ): Promise<void>
  markIdle(agentId: string): Promise<void>
  /** Removes the agent from the list; a halt stays in force. */
  closeAgent(agentId: string): Promise<void>
  listAgents(): Promise<ReadonlyArray<AgentPresence>>
  /** Marks agents not seen for that long (300 seconds) as unresponsive, and returns their ids. */
  checkStale(timeout?: Time): Promise<ReadonlyArray<string>>
  isHalted(agentId: string): Promise<boolean>
  /** Rejects with `AgentHaltedError`. */
  assertNotHalted(agentId: string): Promise<void>
  forceRefreshHaltedCache(): Promise<void>
  /** Stops an agent and all it delegated to, in every process, running calls included. */
  halt(agentId: string, act: { readonly by: string; readonly reason: string }): Promise<Halt>
  /** Ends a halt; undefined when there was none. */
  resume(agentId: string, act: { readonly by: string; readonly reason?: string }): Promise<Halt | undefined>
  /** Makes `child` a delegate of `parent`, before its first use and for good: it draws from the parent's budget. */
  delegate(parent: string, child: string): Promise<Lineage>
}

export interface AgentPresence {
  readonly agentId: string
  readonly parent: string | null
  readonly status: "live" | "idle" | "unresponsive" | "halted"
  readonly lastSeen: Date | null
  readonly operatorId: string | null
  readonly metadata: { readonly [key: string]: Json }
}

export interface Halt {
  readonly agentId: string
  readonly haltedBy: string
  readonly haltedAt: Date
  readonly reason: string
}

/** The agents from the root down to this one. */
export interface Lineage {
  readonly root: string
  readonly path: ReadonlyArray<string>
}
