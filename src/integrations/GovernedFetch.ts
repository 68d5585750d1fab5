import { Effect } from "effect"
import { isGovernanceError, isHaltError } from "../schema/GovernanceError.ts"
import { Coverage } from "../services/Coverage.ts"
import { failed, toldOf } from "./CallEnd.ts"
import { current } from "./CurrentCall.ts"
import { type Host, promise } from "./Host.ts"
import type { LiveCall } from "./LiveCall.ts"
import { metered } from "./MeteredResponse.ts"
import { type GovernOptions, type ModelCall, open } from "./ModelCall.ts"
import { type Outgoing, outgoing, readBody } from "./Outgoing.ts"
import { assertOwner } from "./Owner.ts"
import type { Provider, Wire } from "./Provider.ts"
import { refusalResponse } from "./RefusalResponse.ts"
import { passUngoverned, ungoverned } from "./Ungoverned.ts"

type Fetch = typeof globalThis.fetch

export interface GovernedFetchOptions extends GovernOptions {
  readonly provider: Provider
  /** What sends the request; the global one by default. */
  readonly fetch?: Fetch | undefined
  /**
   * How a refusal reaches the caller: thrown as it is, or as a response 403 that SDKs take for final. Some SDKs take what is
   * thrown in fetch for a broken network and try again.
   */
  readonly refusal?: "throw" | "respond" | undefined
}

/** A `fetch` that governs every request to a provider of models, for any client that takes one (THR-11). */
export const governedFetch = (options: GovernedFetchOptions): Fetch => {
  assertOwner(options)
  const who = { ...options, sessionId: options.sessionId ?? crypto.randomUUID() }
  const send = options.fetch ?? globalThis.fetch
  return async (input, init) => {
    const request = outgoing(input, init)
    const endpoint = who.provider.endpoint(request.method, request.path)
    if (endpoint._tag === "Free") return covered(who.governance, request.url, () => send(input, init))
    const outer = current(who.agentId)
    if (endpoint._tag === "Model" && outer !== undefined) return joined(send, request, outer, endpoint.wire)
    let call: ModelCall | undefined
    try {
      if (endpoint._tag === "Refused") await passUngoverned(who, request, request.signal)
      else {
        const body = await readBody(request)
        if (body === undefined) throw ungoverned(who, request)
        call = await open({ ...who, wire: endpoint.wire, body, signal: request.signal })
      }
    } catch (error) {
      if (isGovernanceError(error) || isHaltError(error)) return refused(options, error)
      throw error
    }
    return call === undefined ? send(input, init) : opened(send, request, call)
  }
}

/** What costs nothing goes past no budget, so coverage must not take it for a call that does (BEY-13). */
const covered = (host: Host, url: string, run: () => Promise<Response>): Promise<Response> =>
  promise(
    host,
    Coverage.use((coverage) => Effect.tryPromise({ try: () => coverage.send(url, run), catch: (error) => error }))
  )

/** Nobody above has opened the call: it is sent as it was admitted, and settled here. */
const opened = async (send: Fetch, request: Outgoing, { hidesUsage, live, text, wire }: ModelCall) => {
  const response = await attempted(send, request, live, true, text)
  return metered(response, { live, wire, hidesUsage, owns: true, signal: request.signal })
}

/** Below a wrapper that has opened the call: its meter counts, its signal cuts, its owner settles. */
const joined = async (send: Fetch, request: Outgoing, live: LiveCall, wire: Wire) => {
  live.meter.countedBelow = true
  const response = await attempted(send, request, live, false)
  return metered(response, { live, wire, hidesUsage: false, owns: false, signal: request.signal })
}

const attempted = async (send: Fetch, request: Outgoing, live: LiveCall, owns: boolean, body?: string) => {
  const signals = [live.signal, ...(request.signal == null ? [] : [request.signal])]
  try {
    return await live.send(request.url, () => request.send(send, AbortSignal.any(signals), body))
  } catch (error) {
    throw owns ? await failed(live, error) : toldOf(live, error)
  }
}

const refused = ({ refusal }: GovernedFetchOptions, error: unknown): Response => {
  if (refusal === "respond") return refusalResponse(error)
  throw error
}
