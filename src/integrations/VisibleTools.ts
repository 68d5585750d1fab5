import { Effect } from "effect"
import { AgentScope } from "../services/AgentScope.ts"

/** The tools that an agent may see, by name or with one (SCP-06). With the scope module off nothing is hidden. */
export const visibleTools = <T extends string | { readonly name: string }>(agentId: string, tools: ReadonlyArray<T>) =>
  AgentScope.use((scope) => scope.filterTools(agentId, tools)).pipe(
    Effect.catchTag("ModuleDisabledError", () => Effect.succeed(tools))
  )
