import { Effect, Layer } from "effect"
import { McpSchema, McpServer, type Tool, type Toolkit } from "effect/ai"
import type { ApprovalOptions, CallOptions } from "../schema/CallPlan.ts"
import type { Refusal } from "../schema/Refusal.ts"
import { AgentScope } from "../services/AgentScope.ts"
import { Governor } from "../services/Governor.ts"
import { Wrappers } from "../services/Wrappers.ts"
import { type AiRefusal, isRefusal } from "./AiRefusal.ts"
import { targetOf } from "./McpMessage.ts"
import { mcpRefusal } from "./McpRefusal.ts"
import { asksForPerson, GovernedUse } from "./Toolkit.ts"

/** For whom an MCP server of `effect/ai` works. */
export interface McpServerOptions {
  /** One agent, or who it is by what the server knows of a request: its headers, its session. */
  readonly agentId: string | ((request: McpServer.MiddlewareOptions) => string)
  /** Without it the request's MCP session, else a random one for the server. */
  readonly sessionId?: string | ((request: McpServer.MiddlewareOptions) => string) | undefined
  /** Whose `needsApproval` asks the gate; the server of `effect/ai` itself pays no heed to it. */
  readonly toolkits?: ReadonlyArray<Toolkit.Any> | undefined
  /** What one use of a tool costs at most, in dollars, by the tool's name. */
  readonly maxUsd?: Readonly<Record<string, number | string>> | undefined
  /** A call that waits for a person is answered at once unless `wait` is true (GAT-04). */
  readonly approval?: ApprovalOptions | undefined
  readonly metadata?: unknown
}

/**
 * Governs an MCP server of `effect/ai`: merge it with the layers that register its tools, resources and prompts. Each `tools/call` is a
 * governed call and hidden tools do not exist; resources and prompts are the apis `resource:<uri>` and `prompt:<name>` (BEY-03).
 */
export const layer = (options: McpServerOptions) => {
  const fallbackSession = crypto.randomUUID()
  const who = (request: McpServer.MiddlewareOptions) => ({
    agentId: of(options.agentId, request),
    sessionId: options.sessionId === undefined ? (request.sessionId ?? fallbackSession) : of(options.sessionId, request)
  })
  const tools = new Map<string, Tool.Any>(
    (options.toolkits ?? []).flatMap((toolkit) =>
      Object.values(toolkit.tools).map((tool) => [tool.name, tool] as const)
    )
  )

  const rooms = McpServer.middleware(
    Effect.map(Governor, (governor) => (effect, request: McpServer.MiddlewareOptions) => {
      const target = targetOf({ method: request.method, params: request.payload })
      if (target === undefined) return effect
      const { input, kind, name } = target
      const tool = kind === "tool" ? tools.get(name) : undefined
      const asks = tool === undefined ? Effect.succeed(false) : asksForPerson(tool, input)
      return Effect.flatMap(asks, (asked) => {
        const required = asked || options.approval?.required === true
        const common = {
          ...{ ...who(request), input, metadata: options.metadata },
          approval: { wait: false, ...options.approval, ...(required ? { required } : {}) }
        }
        const maxUsd =
          options.maxUsd !== undefined && Object.hasOwn(options.maxUsd, name) ? options.maxUsd[name] : undefined
        const call: CallOptions = kind === "tool" ? { ...common, tool: name, maxUsd } : { ...common, api: name }
        const use = { agentId: common.agentId, tool: name, isAsked: required }
        return governor
          .run(call, () => Effect.provideService(effect, GovernedUse, use))
          .pipe(
            Effect.catchIf((error: McpSchema.McpErrorBase | Refusal): error is Refusal => isRefusal(error), refused)
          )
      })
    }),
    { global: true }
  )

  const visible = McpServer.visibility(
    Effect.map(AgentScope, (scope) => (request: McpServer.MiddlewareOptions) => {
      if (request.method !== "tools/call" && request.method !== "tools/list") return Effect.succeed(true)
      return scope.filterTools(who(request).agentId, [request.target]).pipe(
        Effect.catchTag("ModuleDisabledError", () => Effect.succeed([request.target])),
        Effect.catch(refused),
        Effect.map((kept) => kept.length === 1)
      )
    }),
    { global: true }
  )

  const registered = Layer.effectDiscard(Wrappers.use((wrappers) => wrappers.register("effect-ai")))
  return Layer.mergeAll(visible, rooms, registered)
}

const refused = (error: AiRefusal) =>
  Effect.fail(new McpSchema.McpErrorBase(mcpRefusal(error) ?? { code: -32603, message: "internal error" }))

const of = (
  name: string | ((request: McpServer.MiddlewareOptions) => string),
  request: McpServer.MiddlewareOptions
): string => (typeof name === "function" ? name(request) : name)
