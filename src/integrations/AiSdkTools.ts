import { ApprovalPending } from "../schema/Gate.ts"
import { AgentId } from "../schema/Ids.ts"
import { assertOwner } from "./Owner.ts"
import { items, record } from "./Reading.ts"
import { warnGoverned } from "./Registration.ts"
import { type Approval, approvalOf, type ToolOwner, useApproved, useOf } from "./ToolApproval.ts"

/** The SDK's own `ToolSet` refuses tools without `execute` where optional properties are exact. */
type Tools = { readonly [name: string]: object }

type InputOf<T> = T extends { readonly execute?: (input: infer Input, ...rest: never) => unknown } ? Input : never

export interface AiSdkToolOptions<Set extends Tools = Tools> extends ToolOwner {
  /** Which uses wait for a person besides those that the gate policy names: all of a tool, or by its arguments. */
  readonly approve?: {
    readonly [Name in keyof Set]?: boolean | ((input: InputOf<Set[Name]>) => boolean | PromiseLike<boolean>)
  }
  /**
   * Without `wait: true` a use that needs a person stops the run with a `tool-approval-request`; with it, the tool waits where
   * it stands.
   */
  readonly approval?: ToolOwner["approval"]
}

/** What `generateText`, `streamText` and `ToolLoopAgent` take: spread it into their settings. */
export interface GovernedTools<Set extends Tools> {
  readonly tools: Set
  readonly toolApproval: (asked: ToolCallAsked) => Promise<ToolApprovalStatus>
}

interface ToolCallAsked {
  readonly toolCall: { readonly toolName: string; readonly toolCallId: string; readonly input: unknown }
  readonly messages: ReadonlyArray<unknown>
}

type ToolApprovalStatus =
  | { readonly type: "not-applicable" }
  | { readonly type: "denied"; readonly reason: string }
  | { readonly type: "user-approval"; readonly reason: string }

type Execute = (input: unknown, options: ExecuteOptions) => unknown
interface ExecuteOptions {
  readonly toolCallId: string
  readonly messages: ReadonlyArray<unknown>
  readonly abortSignal?: AbortSignal | undefined
}

/**
 * Every `execute` becomes a governed call of its tool, and approvals are the database's: what a message history says about
 * them counts for nothing (BEY-03, BEY-10). Tools without `execute` run elsewhere and are left as they are.
 */
export const governTools = <Set extends Tools>(tools: Set, options: AiSdkToolOptions<Set>): GovernedTools<Set> => {
  assertOwner(options)
  const { agentId, approval, approve, governance } = options

  const needs = async (name: string, input: unknown, use: object) => {
    for (const rule of [ownOf(approve, name), record(ownOf(tools, name)).needsApproval]) {
      if (typeof rule === "function" ? await rule(input, use) : rule === true) return true
    }
    return false
  }

  const asked = async (name: string, input: unknown, given: ExecuteOptions) => {
    const required = await needs(name, input, given)
    return { ...useOf(options, name, given.toolCallId, required), signal: given.abortSignal }
  }

  const governed = (name: string, tool: object): object => {
    // Their type follows the arguments of each tool, of which nothing is known here.
    const execute = record(tool).execute as Execute | undefined
    if (execute === undefined) return tool
    if (governedOnes.has(tool)) {
      warnGoverned(governance, "ai-sdk", { tool: name })
      return tool
    }
    const run = async (input: unknown, given: ExecuteOptions) =>
      useApproved(await asked(name, input, given), input, (approved, abortSignal) =>
        lastOf(execute.call(tool, approved, { ...given, abortSignal }))
      )
    const made = { ...tool, execute: run }
    governedOnes.add(made)
    return made
  }

  const entries = Object.entries(tools).map(([name, tool]) => [name, governed(name, tool)])
  return {
    // Same names, same shapes, other functions.
    tools: Object.fromEntries(entries) as Set,
    toolApproval: async ({ messages, toolCall }) => {
      const { input, toolCallId, toolName } = toolCall
      const runsHere = typeof record(ownOf(tools, toolName)).execute === "function"
      if (!runsHere || approval?.wait === true) return { type: "not-applicable" }
      const use = await asked(toolName, input, { toolCallId, messages })
      const answer = await approvalOf(use, input)
      if (answer._tag === "Waiting" && isResumed(messages, toolCallId)) {
        // Somebody said yes in the history; no person has said so here.
        throw new ApprovalPending({ agentId: AgentId.make(agentId), tool: toolName, requestId: answer.requestId })
      }
      return statusOf(answer)
    }
  }
}

/** A second wrap would be a call within a call, for which the one approval is used already. */
const governedOnes = new WeakSet<object>()

/** Names come from the model: `constructor` is no tool. */
const ownOf = (values: object | undefined, name: string): unknown =>
  values !== undefined && Object.hasOwn(values, name) ? Reflect.get(values, name) : undefined

const statusOf = (answer: Approval): ToolApprovalStatus => {
  switch (answer._tag) {
    case "Refused":
      return { type: "denied", reason: answer.error.message }
    case "Waiting":
      return {
        type: "user-approval",
        reason: answer.requestId === null ? "waits for a person" : `waits for a person: request ${answer.requestId}`
      }
    default:
      return { type: "not-applicable" }
  }
}

/** A call that the messages hold already was asked for before: this is somebody's answer to it. */
const isResumed = (messages: ReadonlyArray<unknown>, toolCallId: string): boolean =>
  messages.some((message) =>
    items(record(message).content).some((part) => part.type === "tool-call" && part.toolCallId === toolCallId)
  )

/** What a tool yields on its way is not passed on: its call is over with its last word. */
const lastOf = async (result: unknown): Promise<unknown> => {
  const awaited = await result
  if (typeof awaited !== "object" || awaited === null || !(Symbol.asyncIterator in awaited)) return awaited
  let last: unknown
  // Checked in the line above.
  for await (const part of awaited as AsyncIterable<unknown>) last = part
  return last
}
