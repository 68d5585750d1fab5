// Node publishes every request on these channels, whoever makes it, and a subscriber that throws would end the process.
import { type ChannelListener, subscribe, unsubscribe } from "node:diagnostics_channel"
import { Effect, Predicate, Result, type Scope } from "effect"

/**
 * Tells of every request that can be a call to a language model, as `host` or `host:port`, from inside it: a POST or the
 * handshake of a WebSocket, by the built-in `fetch`, by undici, `node:http`, `node:https` or `node:http2`.
 */
export const watch = (seen: (authority: string) => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.forEach(
    Object.entries(channels),
    ([channel, authorityOf]) => {
      const listener: ChannelListener = (message) =>
        void Result.try(() => {
          const authority = authorityOf(message)
          if (authority !== undefined) seen(bare(authority.toLowerCase()))
        })
      return Effect.acquireRelease(
        Effect.sync(() => subscribe(channel, listener)),
        () => Effect.sync(() => void unsubscribe(channel, listener))
      )
    },
    { discard: true }
  )

/** `host` or `host:port` of a URL, as `watch` tells it; undefined for what is no URL. */
export const authorityOfUrl = (url: string | URL): string | undefined =>
  Result.getOrUndefined(Result.try(() => new URL(url).host.toLowerCase()))

type AuthorityOf = (message: unknown) => string | undefined

const fromUndici: AuthorityOf = (message) => {
  const request = field(message, "request")
  const origin = field(request, "origin")
  if (!isCall(field(request, "method"), field(request, "upgrade"))) return undefined
  return typeof origin === "string" || origin instanceof URL ? authorityOfUrl(origin) : undefined
}

const fromHttp: AuthorityOf = (message) => {
  const request = field(message, "request")
  if (!isCall(field(request, "method"), header(request, "upgrade"))) return undefined
  // What is asked for, also through a proxy: the address of the socket may be another.
  const host = header(request, "host") ?? field(request, "host")
  return typeof host === "string" ? host : undefined
}

const fromHttp2: AuthorityOf = (message) => {
  const headers = field(message, "headers")
  const authority = field(headers, ":authority") ?? field(headers, "host")
  return field(headers, ":method") === "POST" && typeof authority === "string" ? authority : undefined
}

const channels: Readonly<Record<string, AuthorityOf>> = {
  "undici:request:create": fromUndici,
  "http.client.request.start": fromHttp,
  "http2.client.stream.start": fromHttp2
}

const isCall = (method: unknown, upgrade: unknown) =>
  method === "POST" || (typeof upgrade === "string" && upgrade.toLowerCase() === "websocket")

/** Without the port that its protocol has anyway, as a URL writes it. */
const bare = (authority: string) => authority.replace(/:(?:443|80)$/, "")

const field = (value: unknown, name: string): unknown =>
  Predicate.isObject(value) ? Reflect.get(value, name) : undefined

const header = (request: unknown, name: string): unknown => {
  const read = field(request, "getHeader")
  return typeof read === "function" ? Reflect.apply(read, request, [name]) : undefined
}
