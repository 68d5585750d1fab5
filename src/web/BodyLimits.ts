import { ByteSize, Effect } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

export interface BodyLimitsOptions {
  /** The most bytes of a body at this path. */
  readonly bytes: (path: string) => number
  /** How deep JSON may be nested. */
  readonly depth: number
}

/**
 * Reads a body before anything parses it: too long is 413, packed is 415, nested too deep is 400 (P-05). What counts is what
 * arrives, not what the header says.
 */
export const layer = ({ bytes, depth }: BodyLimitsOptions) =>
  HttpRouter.middleware(
    (app) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        if (request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS") return app
        if ((request.headers["content-encoding"] ?? "identity") !== "identity") return refused(415, "unsupported")
        const limit = bytes(request.url.split("?")[0] ?? "/")
        if (Number(request.headers["content-length"]) > limit) return refused(413, "too_large")
        return request.text.pipe(
          Effect.map((text) => (isNestedWithin(text, depth) ? null : refused(400, "invalid"))),
          Effect.orElseSucceed(() => refused(413, "too_large")),
          Effect.flatMap((refusal) => refusal ?? app),
          Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.fromInputUnsafe(limit))
        )
      }),
    { global: true }
  )

const refused = (status: number, error: string) =>
  Effect.succeed(HttpServerResponse.jsonUnsafe({ error }, { status, headers: { connection: "close" } }))

/** Counts brackets outside strings. Linear, and stops at the first that is too much. */
export const isNestedWithin = (text: string, depth: number): boolean => {
  let level = 0
  for (const [part] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]/gs)) {
    if (part === "[" || part === "{") {
      if (++level > depth) return false
    } else if (part === "]" || part === "}") level--
  }
  return true
}
