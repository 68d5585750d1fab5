import type { FunctionTool } from "@openai/agents"
import { isGovernanceError, isHaltError } from "../schema/GovernanceError.ts"
import { assertOwner } from "./Owner.ts"
import { record } from "./Reading.ts"
import { warnGoverned } from "./Registration.ts"
import { approvalOf, type ToolOwner, useApproved, useOf } from "./ToolApproval.ts"

export interface OpenAiAgentsToolOptions extends ToolOwner {
  /** Without `wait: true` a use that needs a person interrupts the run; with it, the tool waits where it stands. */
  readonly approval?: ToolOwner["approval"]
}

/** Any tool that this process runs; its type has the types of its own arguments in places that contradict each other. */
// biome-ignore lint/suspicious/noExplicitAny: as above
type AnyTool = FunctionTool<any, any, any>

/**
 * Makes every use of a function tool a governed call, in place, and returns the same tool: the SDK knows its tools by identity.
 * Its `needsApproval` asks the database: what a serialized run says of approvals counts for nothing (BEY-02, BEY-03).
 */
export const governTool = <T extends AnyTool>(tool: T, options: OpenAiAgentsToolOptions): T => {
  assertOwner(options)
  if (governed.has(tool)) {
    warnGoverned(options.governance, "openai-agents", { tool: tool.name })
    return tool
  }
  governed.add(tool)
  const { invoke, needsApproval } = tool
  const waits = options.approval?.wait === true

  tool.needsApproval = async (context, input, callId) => {
    const required = await needsApproval.call(tool, context, input, callId)
    if (waits || callId === undefined) return required && !waits
    const { _tag } = await approvalOf(useOf(options, tool.name, callId, required), input)
    return _tag === "Waiting"
  }

  tool.invoke = async (context, input, details) => {
    const asked = parsed(input)
    const callId = details?.toolCall?.callId ?? crypto.randomUUID()
    const required = await needsApproval.call(tool, context, asked, callId)
    const use = { ...useOf(options, tool.name, callId, required), signal: details?.signal }
    try {
      return await useApproved(use, asked, (approved, signal) => {
        const given = JSON.stringify(approved) === JSON.stringify(asked) ? input : JSON.stringify(approved)
        return invoke.call(tool, context, given, withSignal(details ?? {}, signal))
      })
    } catch (error) {
      // A refusal is an answer that the model can live with; a halt is the end of the run, and so is a person who is not done.
      const isFinal = isHaltError(error) || record(error)._tag === "ApprovalPending" || !isGovernanceError(error)
      if (isFinal || tool.errorFunction === null) throw error
      const say = tool.errorFunction ?? refused
      return say(context, error instanceof Error ? error : new Error(String(error)), details)
    }
  }
  return tool
}

const governed = new WeakSet<object>()

type Details = NonNullable<Parameters<AnyTool["invoke"]>[2]>

/** In place: the SDK keeps what an agent as a tool inherits from its run in hidden properties of this very object. */
const withSignal = (details: Details, signal: AbortSignal): Details =>
  Object.defineProperty(details, "signal", { value: signal, configurable: true, enumerable: true, writable: true })

const refused = (_: unknown, error: unknown) => `The tool was not run. ${error instanceof Error ? error.message : ""}`

/** As the SDK does it: no arguments are an empty object; what is no JSON is refused by the tool itself. */
const parsed = (input: string): unknown => {
  try {
    return JSON.parse(input === "" ? "{}" : input)
  } catch {
    return input
  }
}
