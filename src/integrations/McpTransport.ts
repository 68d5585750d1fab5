import { callsOf, type Forward, type McpOptions, type McpPeer, type McpReply } from "./McpCalls.ts"
import {
  cancellation,
  cancelledBy,
  isReply,
  isRequest,
  type McpMessage,
  type RequestId,
  targetOf,
  toolNames,
  withTools
} from "./McpMessage.ts"
import { mcpRefusal, notFound } from "./McpRefusal.ts"

/** What both versions of the SDK want of a transport. */
export interface AnyTransport {
  // Methods, so that transports with narrower messages fit.
  send(message: unknown, options?: unknown): Promise<void>
  onmessage?: ((message: never, extra?: never) => void) | undefined
  onclose?: (() => void) | undefined
  readonly sessionId?: string | undefined
}

type Receive = (message: McpMessage, extra?: unknown) => void

interface Open {
  readonly controller: AbortController
  resolve: ((reply: McpReply) => void) | undefined
}

/** What is under way on one connection. */
const connection = (transport: AnyTransport, options: McpOptions, prefix: string) => {
  const calls = callsOf(options, prefix, crypto.randomUUID())
  const open = new Map<RequestId, Open>()
  const lists = new Map<RequestId, McpPeer>()
  const peerOf = (extra: unknown): McpPeer => ({
    sessionId: transport.sessionId,
    authInfo: typeof extra === "object" && extra !== null && "authInfo" in extra ? extra.authInfo : undefined
  })

  /** One governed request, from its arrival until its reply has been judged. */
  const govern = async (
    message: McpMessage & { readonly id: RequestId },
    peer: McpPeer,
    pass: (message: McpMessage, signal: AbortSignal) => Promise<void>,
    callOff: (notice: McpMessage) => void,
    calledOffBy?: AbortSignal
  ): Promise<McpReply> => {
    const target = targetOf(message)
    if (target === undefined) throw new Error(`${message.method} is not governed`)
    const entry: Open = { controller: new AbortController(), resolve: undefined }
    open.set(message.id, entry)
    calledOffBy?.addEventListener("abort", () => entry.controller.abort(calledOffBy.reason), { once: true })
    const forward: Forward = (input, signal) =>
      new Promise((resolve, reject) => {
        const stopped = () => {
          callOff(cancellation(message.id, "refused by governance"))
          reject(signal.reason)
        }
        entry.resolve = (reply) => {
          signal.removeEventListener("abort", stopped)
          resolve(reply)
        }
        signal.addEventListener("abort", stopped, { once: true })
        const params = target.kind === "tool" ? { ...Object(message.params), arguments: input } : message.params
        pass({ ...message, params }, signal).catch(reject)
      })
    try {
      return await calls.run(target, peer, entry.controller.signal, forward)
    } finally {
      open.delete(message.id)
    }
  }

  return {
    calls,
    open,
    peerOf,
    govern,
    lists,
    /** True: the reply belongs to a governed request, which goes on with it. */
    replied: (message: McpMessage, more: unknown): boolean => {
      const entry = message.id === undefined ? undefined : open.get(message.id)
      entry?.resolve?.({ message, more })
      return entry !== undefined
    },
    /** The list as its reader may see it; undefined where the message is none. */
    listed: async (message: McpMessage): Promise<McpMessage | undefined> => {
      const peer = message.id === undefined ? undefined : lists.get(message.id)
      if (peer === undefined || message.id === undefined) return undefined
      lists.delete(message.id)
      if (message.error !== undefined) return message
      const shown = await calls.visible(peer, toolNames(message))
      return withTools(message, (tool) => shown.has(tool))
    },
    closed: () => {
      for (const { controller } of open.values()) controller.abort(new Error("the connection was closed"))
      lists.clear()
    }
  }
}

/** What the agent's client sends is governed before it leaves; a refusal is what its request rejects with. */
export const clientTransport = <T extends AnyTransport>(transport: T, options: McpOptions, prefix: string): T => {
  const { closed, govern, listed, lists, open, peerOf, replied } = connection(transport, options, prefix)
  const peer = peerOf(undefined)

  const send = async (ends: Ends, message: McpMessage, more: unknown): Promise<void> => {
    const pass = (passed: McpMessage) => transport.send(passed, more)
    // Version 2 calls a request off by closing its own stream, where the transport has one for each.
    const own = ownSignal(more)
    const passOn = (passed: McpMessage, signal: AbortSignal) =>
      own === undefined
        ? pass(passed)
        : transport.send(passed, { ...Object(more), requestSignal: AbortSignal.any([own, signal]) })
    const cancelled = cancelledBy(message)
    const entry = cancelled === undefined ? undefined : open.get(cancelled)
    if (entry !== undefined) {
      // Called off through its signal, which tells the server where it has heard of the request.
      entry.controller.abort(new Error("called off"))
      return
    }
    if (!isRequest(message)) return pass(message)
    if (message.method === "tools/list") lists.set(message.id, peer)
    if (targetOf(message) === undefined) return pass(message)
    const reply = await govern(message, peer, passOn, (notice) => void pass(notice).catch(() => {}), own)
    ends.receive?.(reply.message, reply.more)
  }

  const receive = (ends: Ends, message: McpMessage, extra: unknown): void => {
    if (isReply(message) && replied(message, extra)) return
    if (isReply(message) && lists.has(message.id)) {
      listed(message).then(
        (shown) => ends.receive?.(shown ?? message, extra),
        (error) => ends.receive?.(failure(message.id, error), extra)
      )
    } else ends.receive?.(message, extra)
  }
  return around(transport, send, receive, closed)
}

/** What reaches the server is governed before its handlers see it; a refusal is the reply. */
export const serverTransport = <T extends AnyTransport>(transport: T, options: McpOptions): T => {
  const waits: McpOptions = { ...options, approval: { wait: false, ...options.approval } }
  const { calls, closed, govern, listed, lists, open, peerOf, replied } = connection(transport, waits, "")
  /** Answered already, whatever the handler still says. */
  const over = new Set<RequestId>()

  const receive = (ends: Ends, message: McpMessage, extra: unknown): void => {
    const cancelled = cancelledBy(message)
    if (cancelled !== undefined) open.get(cancelled)?.controller.abort(calledOff)
    if (isRequest(message) && message.method === "tools/list") lists.set(message.id, peerOf(extra))
    if (isRequest(message) && targetOf(message) !== undefined) void answer(ends, message, extra)
    else ends.receive?.(message, extra)
  }

  const answer = async (ends: Ends, message: McpMessage & { readonly id: RequestId }, extra: unknown) => {
    const { id } = message
    const answered = (reply: unknown, more?: unknown) => transport.send(reply, more).catch(() => {})
    if (open.has(id)) {
      return answered({ jsonrpc: "2.0", id, error: { code: -32600, message: "this request's id is in use" } })
    }
    over.delete(id)
    const peer = peerOf(extra)
    try {
      const target = targetOf(message)
      if (target?.kind === "tool" && !(await calls.visible(peer, [target.name])).has(target.name)) {
        return await answered({ jsonrpc: "2.0", id, error: notFound("Tool", target.name) })
      }
      const pass = async (passed: McpMessage) => ends.receive?.(passed, extra)
      const { message: reply, more } = await govern(message, peer, pass, (notice) => {
        over.add(id)
        ends.receive?.(notice)
      })
      await answered(reply, more)
    } catch (error) {
      // Whoever has called a request off wants no reply.
      if (error !== calledOff) await answered(failure(id, error))
    }
  }

  const send = async (_: Ends, message: McpMessage, more: unknown): Promise<void> => {
    if (isReply(message)) {
      if (replied(message, more) || over.delete(message.id)) return
      if (lists.has(message.id)) {
        const shown = await listed(message).catch((error: unknown) => failure(message.id, error))
        return transport.send(shown, more)
      }
    }
    return transport.send(message, more)
  }
  return around(transport, send, receive, closed)
}

const ownSignal = (options: unknown): AbortSignal | undefined => {
  const found =
    typeof options === "object" && options !== null && "requestSignal" in options ? options.requestSignal : undefined
  return found instanceof AbortSignal ? found : undefined
}

const calledOff = new Error("called off by the client")

const failure = (id: RequestId, error: unknown): McpMessage =>
  // JSON-RPC's own field, which nothing here reads.
  ({ jsonrpc: "2.0", id, error: mcpRefusal(error) ?? { code: -32603, message: "internal error" } }) as McpMessage

interface Ends {
  /** The protocol above. */
  receive: Receive | undefined
}

/** The transport itself, with other ways in and out: whatever else it has stays as it is. */
const around = <T extends AnyTransport>(
  transport: T,
  send: (ends: Ends, message: McpMessage, more: unknown) => Promise<void>,
  receive: (ends: Ends, message: McpMessage, extra: unknown) => void,
  closed: () => void
): T => {
  // Whoever listened before goes on listening: the protocol calls him from its own.
  const ends: Ends = { receive: transport.onmessage as Receive | undefined }
  let { onclose } = transport
  return new Proxy(transport, {
    get: (target, key) => {
      if (key === "send") return (message: McpMessage, more?: unknown) => send(ends, message, more)
      if (key === "onmessage") return ends.receive
      if (key === "onclose") return onclose
      const value: unknown = Reflect.get(target, key, target)
      // Private fields want the transport itself.
      return typeof value === "function" ? value.bind(target) : value
    },
    set: (target, key, value) => {
      if (key === "onmessage") {
        ends.receive = value
        return Reflect.set(target, key, (message: McpMessage, extra: unknown) => receive(ends, message, extra))
      }
      if (key !== "onclose") return Reflect.set(target, key, value)
      onclose = value
      return Reflect.set(target, key, () => {
        closed()
        onclose?.()
      })
    }
  })
}
