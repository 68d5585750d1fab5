import { ToolMessage } from "@langchain/core/messages"
import { isGovernanceError } from "../schema/GovernanceError.ts"
import { promise } from "./Host.ts"
import { toolName } from "./LangChainCall.ts"
import { strictlyVisible } from "./LangChainTools.ts"
import { assertOwner } from "./Owner.ts"
import { record } from "./Reading.ts"
import { type ToolOptions, useTool } from "./Tool.ts"

export interface MiddlewareOptions extends Omit<ToolOptions, "tool" | "callKey" | "signal" | "input"> {
  /**
   * What the agent sees of a refused tool: the refusal, thrown, or a failed tool message, with which the run goes on. A halt is
   * always thrown.
   */
  readonly refusedTools?: "throw" | "tell" | undefined
}

/**
 * For `createMiddleware` of LangChain: hides tools from the model (SCP-06) and runs every tool of the agent as a governed call,
 * under the id of the model's request for it, so that a resumed run uses it once (BEY-02). The model itself is governed by `govern`.
 */
export const middleware = (options: MiddlewareOptions) => {
  assertOwner(options)
  const { refusedTools = "throw", ...tools } = options
  return {
    name: "Governance",
    wrapModelCall: async <R extends { readonly tools: ReadonlyArray<object> }, A>(
      request: R,
      handler: (request: R) => A | Promise<A>
    ): Promise<A> => handler({ ...request, tools: await visible(tools, request.tools) }),
    wrapToolCall: async <
      R extends {
        readonly toolCall: ToolCall
        readonly runtime?: { readonly signal?: AbortSignal | undefined } | undefined
      },
      A
    >(
      request: R,
      handler: (request: R) => A | Promise<A>
    ): Promise<A | ToolMessage> => {
      const { args, id, name } = request.toolCall
      try {
        return await useTool(
          { ...tools, tool: name, callKey: id, signal: request.runtime?.signal },
          args,
          // The arguments that were approved, which a reviewer may have changed.
          (approved) => handler({ ...request, toolCall: { ...request.toolCall, args: record(approved) } })
        )
      } catch (error) {
        if (refusedTools === "throw" || !isGovernanceError(error)) throw error
        return new ToolMessage({ tool_call_id: id ?? "", status: "error", content: messageOf(error) })
      }
    }
  }
}

interface ToolCall {
  readonly id?: string | undefined
  readonly name: string
  readonly args: object
}

const visible = async <T extends object>({ agentId, governance }: MiddlewareOptions, tools: ReadonlyArray<T>) => {
  const names = tools.map((tool) => toolName(record(tool)))
  const kept = new Set(await promise(governance, strictlyVisible(agentId, names)))
  return tools.filter((_, at) => kept.has(names[at] ?? ""))
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : "refused by governance")
