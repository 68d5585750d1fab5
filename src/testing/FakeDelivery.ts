/** Puts an answer on a socket as its script says: in pieces, late, half, or never. */
import type { ServerResponse } from "node:http"
import { setTimeout as wait } from "node:timers/promises"
import type { FakeReply } from "./FakeReply.ts"

/** What goes out. Events go one by one, a body at once. */
export type Payload =
  | { readonly kind: "body"; readonly status: number; readonly text: string }
  | { readonly kind: "events"; readonly events: ReadonlyArray<string> }

/** How far an answer has come; `deliver` keeps it while it sends. */
export interface Delivery {
  sent: number
  state: "open" | "answered" | "cut by client" | "cut by script"
}

/** Ends when all is sent, when the script says that the rest never comes, or when the client is gone. */
export const deliver = async (
  response: ServerResponse,
  payload: Payload,
  reply: FakeReply,
  delivery: Delivery
): Promise<void> => {
  const die = () => {
    delivery.state = "cut by script"
    response.socket?.destroy()
  }
  const end = (text?: string) => {
    delivery.state = "answered"
    response.end(text)
  }
  const hangAfter = reply.hang === true ? 0 : reply.hang === false ? undefined : reply.hang
  await pause(response, reply.delayFirstMs)
  if (response.destroyed) return
  if (reply.dieAfterChunks === 0) return die()
  if (hangAfter === 0) return
  response.writeHead(payload.kind === "body" ? payload.status : 200, headersOf(payload, reply))
  if (payload.kind === "body") {
    if (reply.dieAfterChunks !== undefined) {
      await write(response, payload.text.slice(0, payload.text.length / 2), undefined)
      return die()
    }
    delivery.sent = 1
    return end(payload.text)
  }
  response.flushHeaders()
  for (const [index, event] of payload.events.entries()) {
    if (index === hangAfter) return
    if (index > 0) await pause(response, reply.delayMs)
    if (!response.destroyed) await write(response, event, reply.bytesPerWrite)
    if (response.destroyed) return
    delivery.sent = index + 1
    if (delivery.sent === reply.dieAfterChunks) return die()
  }
  end()
}

const headersOf = (payload: Payload, reply: FakeReply) => ({
  "content-type": payload.kind === "events" ? "text/event-stream; charset=utf-8" : "application/json",
  ...(payload.kind === "body" ? { "content-length": String(Buffer.byteLength(payload.text)) } : {}),
  "x-request-id": "req_fake",
  "request-id": "req_fake",
  ...(reply.retryAfter === undefined ? {} : { "retry-after": String(reply.retryAfter) }),
  ...reply.headers
})

const write = async (response: ServerResponse, text: string, bytesPerWrite: number | undefined) => {
  const bytes = Buffer.from(text)
  const step = bytesPerWrite ?? bytes.length
  for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
    await new Promise<void>((resolve) => {
      // The callback of a write never comes when the client cut the socket; its close does.
      response.once("close", resolve)
      response.write(bytes.subarray(at, at + step), () => {
        response.off("close", resolve)
        resolve()
      })
    })
    if (bytesPerWrite !== undefined) await wait(0)
  }
}

const pause = async (response: ServerResponse, ms: number | undefined) => {
  if (ms === undefined || ms === 0 || response.destroyed) return
  const gone = new AbortController()
  const stop = () => gone.abort()
  response.once("close", stop)
  await wait(ms, undefined, { signal: gone.signal }).catch(() => {})
  response.off("close", stop)
}
