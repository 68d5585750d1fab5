import type OpenAI from "openai"
import type { Body } from "./Provider.ts"
import { items, record } from "./Reading.ts"
import type { Governed } from "./SdkGate.ts"
import { useTool } from "./Tool.ts"

type Run = (args: unknown, runner: unknown, context: unknown) => unknown

/** The functions that `runTools` executes run as governed calls of tools: scope, loop, gates, contracts, halt (THR-07). */
export const governRunTools = (client: OpenAI, governed: Governed): void => {
  const { completions } = client.chat
  // The method takes and gives the same; only the functions in its tools are replaced.
  const runTools = completions.runTools as (body: Body, options?: unknown) => unknown
  Object.assign(completions, {
    runTools: (body: Body, options?: { readonly signal?: AbortSignal }) =>
      runTools.call(
        completions,
        {
          ...body,
          ...(Array.isArray(body.tools)
            ? { tools: body.tools.map((tool) => governedTool(record(tool), governed, options)) }
            : {})
        },
        options
      )
  })
}

/** What a function's parser hands on: the arguments as the model wrote them are what the rooms see and a reviewer edits. */
class Parsed {
  readonly text: string
  readonly args: unknown
  constructor(text: string, args: unknown) {
    this.text = text
    this.args = args
  }
}

const governedTool = (tool: Body, governed: Governed, options: { readonly signal?: AbortSignal } | undefined): Body => {
  const declared = record(tool.function)
  const run = tool.$callback ?? declared.function
  // Not a function of ours: the runner says what is wrong with it.
  if (tool.type !== "function" || typeof run !== "function") return tool
  const parse = tool.$parseRaw ?? declared.parse
  const parser = typeof parse === "function" ? (text: string): unknown => parse(text) : undefined
  const name = String(declared.name ?? run.name)
  const isStrict = tool.$callback !== undefined || declared.strict
  const governedRun: Run = (given, runner, context) => {
    const text = given instanceof Parsed ? given.text : String(given)
    const input = jsonOf(text)
    const { agentId, approval, governance, metadata, sessionId } = governed
    const callKey = callIdOf(runner, name, text)
    const use = { agentId, approval, governance, metadata, sessionId, tool: name, callKey, signal: options?.signal }
    return useTool(use, input, async (approved) => {
      const isEdited = JSON.stringify(approved) !== JSON.stringify(input)
      const edited = typeof approved === "string" ? approved : JSON.stringify(approved)
      if (!(given instanceof Parsed)) return run(isEdited ? edited : text, runner, context)
      return run(isEdited && parser !== undefined ? await parser(edited) : given.args, runner, context)
    })
  }
  const { $callback: _, $parseRaw: __, $brand: ___, ...rest } = tool
  return {
    ...rest,
    function: {
      ...declared,
      name,
      description: declared.description ?? "",
      function: governedRun,
      ...(isStrict === undefined ? {} : { strict: isStrict }),
      ...(parser === undefined ? {} : { parse: async (text: string) => new Parsed(text, await parser(text)) })
    }
  }
}

/** The model's id of this use. Uses with the same arguments in one answer are told apart by who comes first. */
const callIdOf = (runner: unknown, name: string, text: string): string | undefined => {
  if (typeof runner !== "object" || runner === null) return undefined
  const used = taken.get(runner) ?? new Set<string>()
  taken.set(runner, used)
  const asked = "messages" in runner ? items(runner.messages).findLast((message) => message.role === "assistant") : {}
  const call = items(asked?.tool_calls).find(
    ({ id, function: f }) => record(f).name === name && record(f).arguments === text && !used.has(String(id))
  )
  if (call === undefined) return undefined
  used.add(String(call.id))
  return String(call.id)
}

const taken = new WeakMap<object, Set<string>>()

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
