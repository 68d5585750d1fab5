import { Effect } from "effect"
import { AgentScope } from "../services/AgentScope.ts"
import type { Body } from "./Provider.ts"
import { items, record } from "./Reading.ts"

/** The tools that an agent may see, by name or with one (SCP-06). With the scope module off nothing is hidden. */
export const visibleTools = <T extends string | { readonly name: string }>(agentId: string, tools: ReadonlyArray<T>) =>
  AgentScope.use((scope) => scope.filterTools(agentId, tools)).pipe(
    Effect.catchTag("ModuleDisabledError", () => Effect.succeed(tools))
  )

/** A request without its hidden tools (SCP-06). A choice that names one of them goes too, and every choice with the last tool. */
export const withVisibleTools = (
  body: Body,
  toolName: (tool: Body) => string,
  isVisible: (tool: string) => boolean
): Body => {
  const tools = items(body.tools)
  const visible = tools.filter((tool) => isVisible(toolName(tool)))
  if (visible.length === tools.length) return body
  const { tools: _, tool_choice, ...rest } = body
  if (visible.length === 0) return rest
  const named = record(tool_choice).name
  const keepsChoice = tool_choice !== undefined && (named === undefined || isVisible(String(named)))
  return { ...rest, tools: visible, ...(keepsChoice ? { tool_choice } : {}) }
}
