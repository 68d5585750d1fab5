import { Effect } from "effect"
import type { ApprovalOptions } from "../schema/CallPlan.ts"
import { broken } from "./CallEnd.ts"
import { type Host, promise } from "./Host.ts"
import { begin } from "./LiveCall.ts"
import type { McpMessage, McpTarget } from "./McpMessage.ts"
import { useTool } from "./Tool.ts"
import { visibleTools } from "./VisibleTools.ts"

/** For whom the calls of an MCP connection are governed. */
export interface McpOptions {
  /** The Promise facade, or what `Host.make` gives an Effect program. */
  readonly governance: Host
  /** One agent, or who it is by what a server's transport knows of the other end. */
  readonly agentId: string | ((peer: McpPeer) => string)
  /** Without it the transport's own session, else a random one for each connection, in which no earlier approval is found. */
  readonly sessionId?: string | ((peer: McpPeer) => string) | undefined
  /** What one use of a tool costs at most, in dollars, by the tool's name. */
  readonly maxUsd?: Readonly<Record<string, number | string>> | undefined
  readonly approval?: ApprovalOptions | undefined
  readonly metadata?: unknown
}

export interface McpPeer {
  readonly sessionId: string | undefined
  /** What the server's authentication found out; `extra.authInfo` of the SDK. */
  readonly authInfo: unknown
}

export interface McpReply {
  readonly message: McpMessage
  /** Whatever the transport or the protocol gave with it. */
  readonly more: unknown
}

/** Sends a request on with these arguments, and gives the reply to it; the signal calls it off. */
export type Forward = (input: unknown, signal: AbortSignal) => Promise<McpReply>

/** The calls of one connection, by one agent; `prefix` stands before the names that policies see. */
export const callsOf = (options: McpOptions, prefix: string, fallbackSession: string) => {
  const { governance, metadata } = options
  const who = (peer: McpPeer) => ({
    agentId: of(options.agentId, peer),
    sessionId: options.sessionId === undefined ? (peer.sessionId ?? fallbackSession) : of(options.sessionId, peer)
  })

  /** The names that the agent may see. With the scope module off nothing is hidden. */
  const visible = (peer: McpPeer, tools: ReadonlyArray<string>): Promise<ReadonlySet<string>> => {
    const shown = tools.map((name) => ({ name: prefix + name, plain: name }))
    return promise(
      governance,
      Effect.map(visibleTools(who(peer).agentId, shown), (kept) => new Set(kept.map(({ plain }) => plain)))
    )
  }

  const run = async (target: McpTarget, peer: McpPeer, signal: AbortSignal, forward: Forward): Promise<McpReply> => {
    const { input, kind, name } = target
    const call = { ...who(peer), approval: options.approval, metadata }
    const maxUsd = Object.hasOwn(options.maxUsd ?? {}, name) ? options.maxUsd?.[name] : undefined
    if (kind === "tool") {
      // The rooms and the log want what came back, the caller the reply as it is.
      let reply: McpReply | undefined
      const send = async (approved: unknown, halted: AbortSignal) => {
        reply = await forward(approved, halted)
        if (reply.message.error !== undefined) throw new ErrorReply(reply)
        return reply.message.result
      }
      try {
        await useTool({ ...call, governance, tool: prefix + name, maxUsd, signal }, input, send)
      } catch (error) {
        if (error instanceof ErrorReply) return error.reply
        throw error
      }
      return reply ?? Promise.reject(new Error(`no reply to ${name}`))
    }
    const live = await begin({ host: governance, call: { ...call, api: prefix + name, input }, signal })
    try {
      const reply = await forward(undefined, AbortSignal.any([live.signal, signal]))
      const failed = reply.message.error !== undefined
      await live.settle(
        failed ? { _tag: "Broken", error: new ErrorReply(reply) } : { _tag: "Completed", result: reply.message.result }
      )
      return reply
    } catch (error) {
      throw await broken(live, error)
    }
  }

  return { run, visible }
}

const of = (name: string | ((peer: McpPeer) => string), peer: McpPeer): string =>
  typeof name === "function" ? name(peer) : name

/** The other end answered with an error: the call has failed, and the error is the answer. */
class ErrorReply extends Error {
  readonly reply: McpReply
  constructor(reply: McpReply) {
    super("the other end answered with an error")
    this.reply = reply
  }
}
