import { createServer, type IncomingMessage } from "node:http"
import { Effect, Layer } from "effect"
import { EgressFailed } from "../../src/schema/EgressError.ts"
import type { JsonValue } from "../../src/schema/Json.ts"
import { AddressResolver } from "../../src/services/AddressResolver.ts"
import { Dialler, headerText } from "../../src/services/Dialler.ts"
import * as EgressDoor from "../../src/services/EgressDoor.ts"
import { listening } from "../egress/Listening.ts"

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
  // biome-ignore lint/suspicious/noExplicitAny: what a test looks into
  readonly json: any
}
/** A status with a body and a Retry-After, no answer at all, or a connection that breaks. */
export type Reply = { readonly status: number; readonly body?: unknown; readonly retryAfter?: string } | "hang" | "cut"

/** The other side, as a script says: it keeps what it was asked, and stores events as the wire's rules want it (P-01). */
export const scripted = (script: (asked: Asked, nth: number) => Reply | undefined = () => undefined) => {
  const asked: Array<Asked> = []
  const events = new Map<string, Asked["json"]>()
  const expected = new Map<string, number>()
  const gates = new Map<string, Asked["json"]>()
  const resolutions = new Map<string, Asked["json"]>()
  const told: Array<{ readonly id: string; readonly body: Asked["json"] }> = []
  let duplicates = 0

  const ingest = (instance: string, batch: ReadonlyArray<Asked["json"]>): Reply => {
    let next = expected.get(instance) ?? 1
    const fresh: Array<Asked["json"]> = []
    let known = 0
    for (const event of batch) {
      const isKnown = events.has(event.event_id)
      if (!isKnown && event.seq !== next)
        return { status: 409, body: { error: "seq_out_of_order", expected_seq: next } }
      if (isKnown) known++
      else fresh.push(event)
      if (event.seq === next) next++
    }
    for (const event of fresh) events.set(event.event_id, event)
    duplicates += known
    expected.set(instance, next)
    return { status: 200, body: { accepted: fresh.length, duplicates: known, expected_seq: next } }
  }

  const answer = (request: Asked): Reply => {
    asked.push(request)
    const said = script(request, asked.length)
    if (said !== undefined) return said
    const instance = request.headers["governance-instance"] ?? ""
    if (request.path.split("?")[0] === "/api/v1/ingest/events") return ingest(instance, [request.json])
    if (request.path === "/api/v1/ingest/events/batch") return ingest(instance, request.json.events)
    if (request.path === "/api/v1/bridge/gates") {
      gates.set(request.json.request_id, request.json)
      return { status: 202, body: {} }
    }
    const id = /^\/api\/v1\/bridge\/gates\/([0-9a-f-]+)\/resolution$/.exec(request.path)?.[1]
    if (id === undefined || !gates.has(id)) return { status: 404, body: { error: "not_found" } }
    if (request.method === "POST") {
      told.push({ id, body: request.json })
      return { status: 200, body: {} }
    }
    return { status: 200, body: resolutions.get(id) ?? { status: "pending", resolved_at: null } }
  }

  return {
    asked,
    events,
    gates,
    told,
    /** What the inbox says of a request from now on. */
    resolve: (id: string, resolution: JsonValue) => void resolutions.set(id, resolution),
    expected,
    duplicates: () => duplicates,
    answer,
    types: () => [...events.values()].map(({ event_type }) => event_type),
    paths: () => asked.map(({ method, path }) => `${method} ${path}`)
  }
}
export type Scripted = ReturnType<typeof scripted>

/** The platform where a network would be: no socket, so that time can be virtual. */
export const doorTo = (platform: Scripted) =>
  EgressDoor.layerOver(
    Layer.merge(
      Layer.succeed(AddressResolver, AddressResolver.of({ resolve: () => Effect.succeed(["8.8.8.8"]) })),
      Layer.succeed(
        Dialler,
        Dialler.of({
          connect: ({ host, path }) =>
            Effect.succeed({
              remoteAddress: "8.8.8.8",
              post: ({ body, headers, method = "POST" }) =>
                Effect.suspend(() => {
                  const reply = platform.answer(
                    parsed(
                      method,
                      path,
                      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, headerText(value)])),
                      body
                    )
                  )
                  if (reply === "hang") return Effect.never
                  if (reply === "cut") {
                    return Effect.fail(new EgressFailed({ host, problem: "connection", code: "ECONNRESET" }))
                  }
                  return Effect.succeed({
                    status: reply.status,
                    retryAfter: reply.retryAfter,
                    body: textOf(reply.body)
                  })
                })
            })
        })
      )
    )
  )

const textOf = (body: unknown) => (typeof body === "string" ? body : JSON.stringify(body ?? {}))

const parsed = (method: string, path: string, headers: Record<string, string>, body: string): Asked => ({
  method,
  path,
  headers,
  body,
  json: body === "" ? undefined : JSON.parse(body)
})

/** The platform as a server on loopback; its port. */
export const served = (platform: Scripted) =>
  listening(
    createServer(async (request, response) => {
      const reply = platform.answer(
        parsed(
          request.method ?? "",
          request.url ?? "",
          Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
          await bodyOf(request)
        )
      )
      if (reply === "hang") return
      if (reply === "cut") return void request.socket.destroy()
      response.writeHead(reply.status, {
        "content-type": "application/json",
        ...(reply.retryAfter === undefined ? {} : { "retry-after": reply.retryAfter })
      })
      response.end(textOf(reply.body))
    })
  )

const bodyOf = async (request: IncomingMessage) => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString("utf8")
}
