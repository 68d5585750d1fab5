import { Effect, Schema } from "effect"
import { ScopeViolation } from "../schema/AgentScope.ts"
import { AgentId } from "../schema/Ids.ts"
import { AgentScope } from "../services/AgentScope.ts"

/** The tools that the model may see. Without a policy it sees none (WRP-07); with the scope module off it sees them all. */
export const strictlyVisible = (agentId: string, tools: ReadonlyArray<string>) =>
  AgentScope.use((scope) => scope.filterTools(agentId, tools, { strict: true })).pipe(
    Effect.catchTag("ModuleDisabledError", () => Effect.succeed(tools)),
    Effect.catchTag("PolicyNotRegistered", () => Effect.succeed([]))
  )

/** For who cannot take a tool out of a request: a hidden one in it refuses the whole call. */
export const refuseHiddenTools = Effect.fnUntraced(function* (agentId: string, tools: ReadonlyArray<string>) {
  if (tools.length === 0) return
  const visible = new Set(yield* strictlyVisible(agentId, tools))
  const hidden = tools.find((tool) => !visible.has(tool))
  if (hidden === undefined) return
  const id = Schema.decodeSync(AgentId)(agentId)
  return yield* new ScopeViolation({ agentId: id, kind: "tool", target: hidden, allowed: [...visible], policyOf: id })
})
