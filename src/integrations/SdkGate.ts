import { Effect, Schema } from "effect"
import { AgentId } from "../schema/Ids.ts"
import type { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import { UngovernedCall } from "../schema/WrappedCallError.ts"
import { Audit } from "../services/Audit.ts"
import { Presence } from "../services/Presence.ts"
import { current } from "./CurrentCall.ts"
import { governedFetch, isAllowed } from "./GovernedFetch.ts"
import { promise } from "./Host.ts"
import { type Adopt, LogicalCall } from "./LogicalCall.ts"
import { type GovernOptions, type ModelCall, open } from "./ModelCall.ts"
import { outgoing } from "./Outgoing.ts"
import type { Body, Endpoint, Provider, Wire } from "./Provider.ts"

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
  // Below another wrapper the call is open already, and the fetch joins it.
  if (logical === undefined || current() !== undefined) return undefined
  const endpoint: Endpoint = governed.provider.endpoint(asked.method, asked.path)
  if (endpoint._tag === "Free") return undefined
  if (endpoint._tag === "Refused") {
    if (!isAllowed(governed, asked)) throw ungoverned(governed, asked)
    await logical.once(() => promise(governed.governance, noted(governed, asked), asked.signal))
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
    const call = logical?.open
    if (logical === undefined || call === undefined) return alone(input, init)
    const request = outgoing(input, init)
    if (logical.covers(call, await request.text())) return logical.send(inner, request, call, adopt)
    logical.replaced()
    return alone(input, init)
  }
}

/** What the program has allowed by name runs outside all budgets, so the log says that it ran; a halt stops it all the same. */
const noted = ({ agentId, provider, sessionId }: Governed, { method, path }: Asked) =>
  Effect.gen(function* () {
    yield* (yield* Presence).assertNotHalted(agentId).pipe(Effect.catchTag("ModuleDisabledError", ignored))
    yield* (yield* Audit).note({
      kind: "call.ungoverned",
      agentId,
      sessionId,
      metadata: { provider: provider.name, method, path: path.slice(0, 200) }
    })
  })

const ignored = (_: ModuleDisabledError) => Effect.void

const ungoverned = ({ agentId, provider }: Governed, { method, path }: Asked) =>
  new UngovernedCall({ agentId: Schema.decodeSync(AgentId)(agentId), provider: provider.name, method, path })
