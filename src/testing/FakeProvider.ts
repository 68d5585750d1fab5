/**
 * A language model provider that is none: real HTTP and server-sent events on 127.0.0.1, in the formats of OpenAI
 * and Anthropic, with answers that a test scripts and a record of every request. For tests of agents and wrappers:
 * it proves "no request was made" and "the socket was cut after so many milliseconds".
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { performance } from "node:perf_hooks"
import type { Delivery, Payload } from "./FakeDelivery.ts"
import { deliver } from "./FakeDelivery.ts"
import type { FakeBody, FakeReply } from "./FakeReply.ts"
import { routes } from "./FakeRoutes.ts"

export type { FakeBody, FakeReply, FakeToolCall, FakeUsage } from "./FakeReply.ts"

/** One request as it arrived; `known`, `cutAfterMs`, `sent` (events, or one body) and `state` change while it is answered. */
export interface FakeRequest extends Delivery {
  readonly index: number
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: string
  readonly headers: IncomingMessage["headers"]
  /** The parsed JSON; an empty object when the body is none. */
  readonly body: FakeBody
  readonly text: string
  /** Milliseconds of a monotonic clock. */
  readonly at: number
  /** False for a path that no provider knows; it was answered with 404. */
  known: boolean
  /** Milliseconds from the arrival until the client cut the socket, if it did. */
  cutAfterMs: number | undefined
}

/** A reply, or what makes one out of the request; it may take its time. */
export type FakeScript = FakeReply | ((request: FakeRequest) => FakeReply | Promise<FakeReply>)

export interface FakeProvider extends AsyncDisposable {
  /** Without a path: what Anthropic's client wants as `baseURL`. */
  readonly url: string
  /** With `/v1`: what OpenAI's client wants as `baseURL`. */
  readonly openAiUrl: string
  readonly requests: ReadonlyArray<FakeRequest>
  /** The requests whose path ends so. */
  readonly hits: (path: string) => ReadonlyArray<FakeRequest>
  /** Scripts for the next requests, one each, in order of arrival. */
  readonly next: (...scripts: ReadonlyArray<FakeScript>) => void
  /** The script for all requests that no `next` is left for. */
  readonly always: (script: FakeScript) => void
  /** Waits until so many requests have arrived, and answers the last of them. */
  readonly arrived: (count: number) => Promise<FakeRequest>
  /** Milliseconds after which the client cut the socket of this request; rejects when it was answered or cut by its script. */
  readonly closed: (index: number) => Promise<number>
  readonly close: () => Promise<void>
}

export const FakeProvider = {
  /** Listens on a free loopback port; without a script every request gets a short, ordinary answer. */
  start: async (script: FakeScript = {}): Promise<FakeProvider> => {
    const requests: Array<FakeRequest> = []
    const queue: Array<FakeScript> = []
    const waiting = new Set<() => void>()
    const answer = routes()
    let otherwise = script

    const changed = () => {
      for (const look of [...waiting]) look()
    }

    const until = <A>(look: () => A | undefined): Promise<A> =>
      new Promise((resolve, reject) => {
        const again = () => {
          try {
            const found = look()
            if (found === undefined) return
            resolve(found)
          } catch (error) {
            reject(error)
          }
          waiting.delete(again)
        }
        waiting.add(again)
        again()
      })

    const handle = async (incoming: IncomingMessage, response: ServerResponse) => {
      const at = performance.now()
      const request = arrival(incoming, await textOf(incoming), requests.length, at)
      const scripted = queue.shift() ?? otherwise
      requests.push(request)
      response.on("close", () => {
        if (request.state === "open") {
          request.state = "cut by client"
          request.cutAfterMs = performance.now() - at
        }
        changed()
      })
      changed()
      const reply = typeof scripted === "function" ? await scripted(request) : scripted
      const found = answer(request, reply)
      request.known = found !== undefined
      const payload: Payload = found ?? { kind: "body", status: 404, text: '{"error":{"message":"no such path"}}' }
      await deliver(response, payload, reply, request)
      changed()
    }

    const server = createServer((incoming, response) => {
      handle(incoming, response).catch((error) => {
        response.destroy(error instanceof Error ? error : new Error(String(error)))
      })
    })
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(0, "127.0.0.1", resolve)
    })
    // A server that listens on a port has an address with one.
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    const close = () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })

    return {
      url,
      openAiUrl: `${url}/v1`,
      requests,
      hits: (path) => requests.filter((request) => request.path.endsWith(path)),
      next: (...scripts) => {
        queue.push(...scripts)
      },
      always: (script) => {
        otherwise = script
      },
      arrived: (count) => until(() => requests[count - 1]),
      closed: (index) =>
        until(() => {
          const request = requests[index]
          if (request?.state === "answered" || request?.state === "cut by script") {
            throw new Error(`The client did not cut request ${index}: it was ${request.state}`)
          }
          return request?.cutAfterMs
        }),
      close,
      [Symbol.asyncDispose]: close
    }
  }
}

const textOf = async (incoming: IncomingMessage): Promise<string> => {
  const pieces: Array<Buffer> = []
  for await (const piece of incoming) pieces.push(piece)
  return Buffer.concat(pieces).toString("utf8")
}

const arrival = (incoming: IncomingMessage, text: string, index: number, at: number): FakeRequest => {
  const [path = "/", query = ""] = (incoming.url ?? "/").split("?")
  return {
    index,
    method: incoming.method ?? "GET",
    path,
    query,
    headers: incoming.headers,
    body: bodyOf(text),
    text,
    at,
    known: false,
    sent: 0,
    state: "open",
    cutAfterMs: undefined
  }
}

const bodyOf = (text: string): FakeBody => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
