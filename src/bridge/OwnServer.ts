// Node tells here of every request that a server of this process is asked; a subscriber that throws would end the process.
import { type ChannelListener, subscribe, unsubscribe } from "node:diagnostics_channel"
import { Effect, Predicate, Result } from "effect"
import { Hex } from "effect/encoding"
import type { Routes } from "../schema/BridgeWire.ts"
import { ChainKeys } from "../services/ChainKeys.ts"

/** What there is to know about copies that come back to the deployment that has sent them. */
export interface OwnServer {
  /** Goes with every request: a MAC under the audit secret, which says nothing to anybody else. */
  readonly via: string
  /**
   * Whether it was a server of this deployment, and no platform, that answered an event so. Whatever it logs of a request would
   * be the next request, for ever (B-14). A platform in the same process answers as one, and is let be.
   */
  readonly isLoop: (url: string, status: number, isJson: boolean) => boolean
}

export const watch = Effect.fnUntraced(function* (routes: Routes) {
  const { macOf } = yield* ChainKeys
  const via = Hex.encode(macOf("bridge via")("via")).slice(0, 32)
  const { pathname } = new URL(routes.events)
  let reached = false
  const listener: ChannelListener = (message) =>
    void Result.try(() => {
      const request = field(message, "request")
      if (field(field(request, "headers"), viaHeader) !== via) return
      const url = field(request, "url")
      reached ||= typeof url === "string" && url.split("?")[0] === pathname
    })
  yield* Effect.acquireRelease(
    Effect.sync(() => subscribe(asked, listener)),
    () => Effect.sync(() => void unsubscribe(asked, listener))
  )
  return {
    via,
    isLoop: (url, status, isJson) => reached && url === routes.events && !isPlatforms(status, isJson)
  } satisfies OwnServer
})

export const viaHeader = "governance-via"

const asked = "http.server.request.start"

/** No platform says to an event that there is no such route, that it is elsewhere or not for bridges, or shows a page. */
const isPlatforms = (status: number, isJson: boolean): boolean =>
  status < 300 ? isJson : status >= 400 && status !== 403 && status !== 404 && status !== 405

const field = (value: unknown, name: string): unknown =>
  Predicate.isObject(value) ? Reflect.get(value, name) : undefined
