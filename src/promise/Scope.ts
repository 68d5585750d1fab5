import { Effect } from "effect"
import type * as Service from "../services/AgentScope.ts"
import type { Running } from "./Running.ts"

/** What agents may do. Default deny: what is not listed is refused. */
export interface Scope {
  register(policy: ScopePolicy & { readonly agentId: string }): Promise<void>
  /** Rejects with `ScopeViolation`, `PolicyNotRegistered` or `AgentHaltedError`. Answers from memory. */
  check(
    agentId: string,
    target: { readonly tool?: string; readonly api?: string; readonly sessionId?: string }
  ): Promise<void>
  /** The tools that the model may see. */
  filterTools<T extends string | { readonly name: string }>(
    agentId: string,
    tools: ReadonlyArray<T>,
    options?: { readonly strict?: boolean }
  ): Promise<ReadonlyArray<T>>
  /** Runs the check, then the function. */
  requireTool<A>(tool: string, agentId: string, use: () => A | PromiseLike<A>): Promise<A>
}

/** Exact names, or prefixes that end in `*`. */
export interface ScopePolicy {
  readonly allowedTools?: ReadonlyArray<string>
  readonly allowedApis?: ReadonlyArray<string>
  /** Tools that the model never gets to see. */
  readonly hiddenTools?: ReadonlyArray<string>
  /** Left out: any model. */
  readonly allowedModels?: ReadonlyArray<string>
  /** False makes calls of language models need an entry in `allowedTools`. Default true. */
  readonly allowLlmCalls?: boolean
}

type Special = Pick<Scope, "filterTools" | "requireTool">

/** What belongs to the caller is handed through as it is. */
export const special = (scope: Service.AgentScope["Service"], running: Running<never>): Special => ({
  filterTools: (agentId, tools, options) => running.promise(scope.filterTools(agentId, tools, options)),
  requireTool: (tool, agentId, use) =>
    running.promise(
      scope.requireTool(tool, agentId)(Effect.tryPromise({ try: async () => use(), catch: (error) => error }))
    )
})
