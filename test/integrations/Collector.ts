import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: number
  readonly start: bigint
  readonly end: bigint
  readonly attributes: Record<string, unknown>
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: Record<string, unknown> }>
  readonly status: { readonly code: number; readonly message?: string }
}

export interface Collector {
  readonly url: string
  readonly bodies: Array<string>
  readonly headers: Array<Record<string, unknown>>
  readonly spans: () => ReadonlyArray<ReceivedSpan>
  readonly resource: () => Record<string, unknown>
  /** Requests that have begun. */
  readonly requests: () => number
}

/** A real collector on loopback that takes OTLP as JSON. `behave`: what it does with a request. */
export const collector = (behave: "answers" | "hangs" | "dies" | "refuses" = "answers") =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Server; readonly collector: Collector }>((resume) => {
      const bodies: Array<string> = []
      const headers: Array<Record<string, unknown>> = []
      let requests = 0
      const server = createServer((request, response) => {
        requests++
        headers.push(request.headers)
        if (behave === "dies") return void request.socket.destroy()
        const parts: Array<Buffer> = []
        request.on("data", (part: Buffer) => parts.push(part))
        request.on("end", () => {
          bodies.push(Buffer.concat(parts).toString("utf8"))
          if (behave === "hangs") return
          response.writeHead(behave === "refuses" ? 403 : 200, { "content-type": "application/json" })
          response.end("{}")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const seen = () => bodies.filter((body) => body !== "").map((body): Body => JSON.parse(body))
        resume(
          Effect.succeed({
            server,
            collector: {
              url: `http://127.0.0.1:${port}`,
              bodies,
              headers,
              requests: () => requests,
              resource: () => plain(seen()[0]?.resourceSpans[0]?.resource.attributes ?? []),
              spans: () =>
                seen().flatMap((body) =>
                  body.resourceSpans.flatMap((resource) =>
                    resource.scopeSpans.flatMap((scope) => scope.spans.map(spanOf))
                  )
                )
            }
          })
        )
      })
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ).pipe(Effect.map(({ collector }) => collector))

type KeyValues = ReadonlyArray<{ readonly key: string; readonly value: Record<string, unknown> }>
interface RawSpan extends Omit<ReceivedSpan, "attributes" | "events" | "start" | "end"> {
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: KeyValues
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: KeyValues }>
}
interface Body {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: KeyValues }
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<RawSpan> }>
  }>
}

const spanOf = (span: RawSpan): ReceivedSpan => ({
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId,
  name: span.name,
  kind: span.kind,
  start: BigInt(span.startTimeUnixNano),
  end: BigInt(span.endTimeUnixNano),
  attributes: plain(span.attributes),
  events: span.events.map((event) => ({ name: event.name, attributes: plain(event.attributes) })),
  status: span.status
})

const plain = (attributes: KeyValues) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      "intValue" in value ? Number(value.intValue) : (value.stringValue ?? value.doubleValue ?? value.boolValue)
    ])
  )
