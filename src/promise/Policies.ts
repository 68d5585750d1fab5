import type * as Service from "../services/Policies.ts"
import type { BudgetPolicy } from "./Cost.ts"
import type { Json } from "./Json.ts"
import type { LoopPolicy } from "./Loop.ts"
import type { RoutingPolicy } from "./Routing.ts"
import type { Running } from "./Running.ts"
import type { ScopePolicy } from "./Scope.ts"

/** The policies of all modules in this process's memory. */
export interface Policies {
  /** Takes effect at once; the row is written behind. What an operator applied stays in force. */
  register<K extends PolicyKind>(agentId: string, kind: K, policy: PolicyOf[K]): Promise<void>
  /** The policy that counts, as JSON. */
  get(agentId: string, kind: PolicyKind): Promise<PolicyInForce | undefined>
  /** True while anything that this process registered is not stored yet. */
  pending(): Promise<boolean>
  /** Resolves when what this process registered for these agents is stored. */
  stored(agents: ReadonlyArray<string>): Promise<void>
  /** Reads every row again. */
  reload(): Promise<void>
}

export interface PolicyOf {
  readonly scope: ScopePolicy
  readonly budget: BudgetPolicy
  readonly loop: LoopPolicy
  readonly gate: GatePolicy
  /** `required`: a call is refused unless its attempt is in the database. */
  readonly audit: { readonly mode: "required" | "bestEffort" }
  readonly routing: RoutingPolicy
}
export type PolicyKind = keyof PolicyOf

/** Which tools wait for a person. */
export interface GatePolicy {
  /** Names or prefixes of tools. */
  readonly requireApproval: ReadonlyArray<string>
  /** Who may decide; left out: anyone but the agent's operator. */
  readonly reviewers?: ReadonlyArray<string>
  /** How many different people must grant; default 1. */
  readonly quorum?: number
  /** Seconds until a request, and a grant that nobody used, ends; default 600. */
  readonly expiresAfter?: number
  readonly approvals?: "local" | "platform"
}

export interface PolicyInForce {
  readonly body: Json
  readonly source: "code" | "operator"
  readonly version: number
}

/** What is kept in memory is shown as it is stored: dollars as text, lists as arrays. */
export const special = (
  policies: Service.Policies["Service"],
  running: Running<never>
): Pick<Policies, "register" | "get"> => ({
  register: (agentId, kind, policy) => running.promise(policies.register(agentId, kind, policy)),
  get: async (agentId, kind) => {
    // A name that is no agent's has no policy, so it need not be checked.
    const found = policies.get(agentId as Parameters<typeof policies.get>[0], kind)
    return found === undefined ? undefined : { body: found.body, source: found.source, version: found.version }
  }
})
