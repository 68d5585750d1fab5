import type Anthropic from "@anthropic-ai/sdk"
import type { Middleware } from "@anthropic-ai/sdk"
import type { Effect } from "effect"
import type { ConfigurationError } from "../schema/ConfigurationError.ts"
import { anthropic } from "./AnthropicProvider.ts"
import { governToolRunner } from "./AnthropicTools.ts"
import { type HostServices, using } from "./Host.ts"
import { LogicalCall } from "./LogicalCall.ts"
import type { GovernOptions } from "./ModelCall.ts"
import { outgoing, parsedBody } from "./Outgoing.ts"
import { assertOwner } from "./Owner.ts"
import { governSdk, type Install, type Sdk } from "./SdkClient.ts"
import { admit, type Governed, guardedFetch } from "./SdkGate.ts"

/**
 * Governs an Anthropic client in place and returns the same object; clients that `withOptions` makes of it are governed too,
 * whatever middleware they are given (WRP-01). Refusals reach the caller as they are, untried again. Throws
 * `ConfigurationError` for another SDK.
 */
export const governWith = <Client extends Anthropic>(client: Client, options: GovernOptions): Client => {
  assertOwner(options)
  const sessionId = options.sessionId ?? crypto.randomUUID()
  return governSdk(client, sdk, options, install({ ...options, sessionId, provider: anthropic }))
}

/** The same in an Effect program, with the governance that the program has. */
export const govern = <Client extends Anthropic>(
  client: Client,
  options: Omit<GovernOptions, "governance">
): Effect.Effect<Client, ConfigurationError, HostServices> =>
  using((governance) => governWith(client, { ...options, governance }))

const sdk: Sdk = { name: "anthropic", package: "@anthropic-ai/sdk", major: 1 }

const install = (governed: Governed): Install => {
  const gate = gateOf(governed)
  return (client) => {
    client.fetch = guardedFetch(governed, client.fetch)
    // A client of this SDK has middleware, which it shares with nobody; ours is the last, so that it sees what is sent.
    const ours = client as unknown as Anthropic
    Object.assign(ours, { middleware: [...ours.middleware.filter((other) => !gates.has(other)), gate] })
    governToolRunner(ours, governed)
  }
}

const gateOf = (governed: Governed): Middleware => {
  const gate: Middleware = async (request, next) => {
    const { method, path, signal, text } = outgoing(request.url, request)
    const asked = await text()
    const pass = async () => {
      const call = await admit(governed, { method, path, signal, body: () => parsedBody(asked) })
      return next(call === undefined ? request : { ...request, body: call.text })
    }
    // Middleware before ours may send more than one request for a call: another model, or the same again.
    const isOther = LogicalCall.current()?.isAttempt(asked) === false
    return isOther ? LogicalCall.run(pass) : pass()
  }
  gates.add(gate)
  return gate
}

/** A clone inherits its client's middleware, and has a gate of its own. */
const gates = new WeakSet<Middleware>()
