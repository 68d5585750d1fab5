import type Anthropic from "@anthropic-ai/sdk"
import type { Body } from "./Provider.ts"
import { record } from "./Reading.ts"
import type { Governed } from "./SdkGate.ts"
import { useTool } from "./Tool.ts"

type Run = (...args: ReadonlyArray<unknown>) => unknown

/**
 * The functions that `beta.messages.toolRunner` executes run as governed calls of tools: scope, loop, gates, contracts, halt
 * (THR-07). The runner makes what a function throws into the tool's result: the model reads the refusal, and a halt refuses the
 * next request.
 */
export const governToolRunner = (client: Anthropic, governed: Governed): void => {
  const { messages } = client.beta
  // The method takes and gives the same; only the functions of its tools are replaced.
  const toolRunner = messages.toolRunner as (body: Body, options?: unknown) => unknown
  Object.assign(messages, {
    toolRunner: (body: Body, options?: unknown) =>
      toolRunner.call(messages, { ...body, ...governedTools(body, governed) }, options)
  })
}

const governedTools = ({ tools }: Body, governed: Governed): Body =>
  Array.isArray(tools) ? { tools: tools.map((tool) => governedTool(tool, governed)) } : {}

const governedTool = (tool: object, governed: Governed): object => {
  const run: unknown = Reflect.get(tool, "run")
  if (typeof run !== "function") return tool
  // A toolset has no name but its family's type; its `run` takes the context first and then the member's use.
  const isToolset = !("name" in tool)
  const parse: unknown = Reflect.get(tool, "parse")
  const parsed = (input: unknown): unknown => (typeof parse === "function" ? parse.call(tool, input) : input)
  const governedRun: Run = (...args) => {
    const context = record(isToolset ? args[0] : args[1])
    const toolUse = record(isToolset ? args[1] : context.toolUse)
    const signal = context.signal instanceof AbortSignal ? context.signal : undefined
    const { agentId, approval, governance, metadata, sessionId } = governed
    const name = String(toolUse.name ?? Reflect.get(tool, "name"))
    const callKey = toolUse.id === undefined ? undefined : String(toolUse.id)
    const input = toolUse.input ?? args[0]
    const use = { agentId, approval, governance, metadata, sessionId, tool: name, callKey, signal }
    return useTool(use, input, (approved, halted) => {
      const inContext = { ...context, signal: halted }
      if (isToolset) return run.call(tool, inContext, { ...toolUse, input: approved })
      const isEdited = JSON.stringify(approved) !== JSON.stringify(input)
      return run.call(tool, isEdited ? parsed(approved) : args[0], inContext)
    })
  }
  return new Proxy(tool, {
    get: (target, key) => {
      if (key === "run") return governedRun
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === "function" ? value.bind(target) : value
    }
  })
}
