import { current } from "./CurrentCall.ts"
import { governedFetch } from "./GovernedFetch.ts"
import { type Adopt, LogicalCall } from "./LogicalCall.ts"
import { type GovernOptions, type ModelCall, open } from "./ModelCall.ts"
import { type Outgoing, outgoing } from "./Outgoing.ts"
import type { Body, Endpoint, Provider, Wire } from "./Provider.ts"
import { isAllowed, passUngoverned, ungoverned } from "./Ungoverned.ts"

type Fetch = typeof globalThis.fetch

/** A governed client: for whom, at which provider, in which session. */
export interface Governed extends GovernOptions {
  readonly sessionId: string
  readonly provider: Provider
}

/** A request before it is sent, where the SDK lets us wait without a clock running and refuse without a second try. */
export interface Asked {
  readonly method: string
  /** Without query. */
  readonly path: string
  /** The request's JSON; undefined where it has none. */
  readonly body: () => Body | undefined
  readonly signal: AbortSignal | null | undefined
  /** Sees the request that is about to be admitted. */
  readonly seen?: ((wire: Wire, body: Body) => void) | undefined
}

/** All rooms for the request of a running `LogicalCall`. Undefined: it goes on as it is, or the fetch below has to judge it. */
export const admit = async (governed: Governed, asked: Asked): Promise<ModelCall | undefined> => {
  const logical = LogicalCall.current()
  // Below a framework's wrapper the call is open already, and the fetch joins it. Below a client like this one, in its fetch for
  // instance, a client asks something else.
  if (logical === undefined) return undefined
  const outer = current(governed.agentId)
  if (outer !== undefined && !LogicalCall.began(outer)) return undefined
  const endpoint: Endpoint = governed.provider.endpoint(asked.method, asked.path)
  if (endpoint._tag === "Free") return undefined
  if (endpoint._tag === "Refused") {
    await logical.once(() => passUngoverned(governed, asked, asked.signal))
    return undefined
  }
  const { wire } = endpoint
  return logical.admitted(async () => {
    const body = asked.body()
    if (body === undefined) throw ungoverned(governed, asked)
    asked.seen?.(wire, body)
    return open({ ...governed, wire, body, signal: asked.signal })
  })
}

/**
 * The fetch of a governed client: counts what was admitted, and governs by itself what nobody admitted, so that no hook that a
 * caller leaves out opens a way around.
 */
export const guardedFetch = (governed: Governed, inner: Fetch, adopt: Adopt = (call) => call): Fetch => {
  const alone = governedFetch({ ...governed, fetch: inner, refusal: "respond" })
  return async (input, init) => {
    const logical = LogicalCall.current()
    if (logical === undefined) return alone(input, init)
    const request = outgoing(input, init)
    const call = logical.open
    // The gate has let this through by name, and said so in the log.
    if (call === undefined && logical.hasPassed && isUngoverned(governed, request)) return inner(input, init)
    if (call === undefined) return alone(input, init)
    if (logical.covers(call, await request.text())) return logical.send(inner, request, call, adopt)
    logical.replaced()
    return alone(input, init)
  }
}

const isUngoverned = (governed: Governed, { method, path }: Outgoing): boolean =>
  governed.provider.endpoint(method, path)._tag === "Refused" && isAllowed(governed, { method, path })
