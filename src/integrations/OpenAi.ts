import { Duration, Effect } from "effect"
import type OpenAI from "openai"
import type { ConfigurationError } from "../schema/ConfigurationError.ts"
import { BackgroundResponses } from "./BackgroundResponses.ts"
import { type HostServices, using } from "./Host.ts"
import type { GovernOptions } from "./ModelCall.ts"
import { openAi } from "./OpenAiProvider.ts"
import { governRunTools } from "./OpenAiTools.ts"
import { outgoing } from "./Outgoing.ts"
import { assertOwner } from "./Owner.ts"
import type { Body, Wire } from "./Provider.ts"
import { record } from "./Reading.ts"
import { governSdk, type Install, type Sdk, type SdkRequest } from "./SdkClient.ts"
import { admit, type Governed, guardedFetch } from "./SdkGate.ts"

export interface OpenAiOptions extends GovernOptions {
  /**
   * How long a response that is worked on in the background (`background: true`) keeps its hold until somebody retrieves it;
   * then all that was held is charged. Default: 10 minutes.
   */
  readonly backgroundPatience?: Duration.Input | undefined
}

/**
 * Governs an OpenAI or AzureOpenAI client in place and returns the same object; clients that `withOptions` makes of it are
 * governed too (WRP-01). Refusals reach the caller as they are, untried again. Throws `ConfigurationError` for another SDK.
 */
export const governWith = <Client extends OpenAI>(client: Client, options: OpenAiOptions): Client => {
  assertOwner(options)
  const governed: Governed = { ...options, sessionId: options.sessionId ?? crypto.randomUUID(), provider: openAi }
  const patience = Duration.toMillis(Duration.fromInputUnsafe(options.backgroundPatience ?? "10 minutes"))
  const background = new BackgroundResponses(patience, (id) => void client.responses.cancel(id).catch(() => {}))
  return governSdk(client, sdk, options, install(governed, background))
}

/** The same in an Effect program, with the governance that the program has. */
export const govern = <Client extends OpenAI>(
  client: Client,
  options: Omit<OpenAiOptions, "governance">
): Effect.Effect<Client, ConfigurationError, HostServices> =>
  using((governance) => governWith(client, { ...options, governance }))

const sdk: Sdk = { name: "openai", package: "openai", major: 7 }

const install = (governed: Governed, background: BackgroundResponses): Install => {
  const warnOfUsage = warnOnce(governed)
  return (client) => {
    const { fetch, prepareOptions } = client
    const observed: typeof fetch = async (input, init) =>
      background.observed(outgoing(input, init), await fetch(input, init))
    client.fetch = guardedFetch(governed, observed, background.adopt)
    client.prepareOptions = async function (request) {
      await prepareOptions.call(this, request)
      const { path } = outgoing(request.path, undefined)
      const asked = { method: request.method.toUpperCase(), path, signal: request.signal, seen: warnOfUsage }
      const call = await admit(governed, { ...asked, body: () => bodyOf(request) })
      if (call !== undefined) request.body = call.body
    }
    // A client of this SDK has chat completions.
    governRunTools(client as unknown as OpenAI, governed)
  }
}

/** A copy of what will be sent: what the caller changes while a person decides is not what was asked for (T-06). */
const bodyOf = ({ body }: SdkRequest): Body | undefined => {
  try {
    const copy: unknown = JSON.parse(typeof body === "string" ? body : JSON.stringify(body))
    return typeof copy === "object" && copy !== null && !Array.isArray(copy) ? record(copy) : undefined
  } catch {
    return undefined
  }
}

/** A caller who forbids usage in his streams pays the declared maximum for each of them: that is worth one warning (WRP-05). */
const warnOnce = ({ agentId, governance }: Governed) => {
  let isSaid = false
  return (_: Wire, body: Body): void => {
    if (isSaid || body.stream !== true || record(body.stream_options).include_usage !== false) return
    isSaid = true
    governance.run(
      Effect.logWarning("openai.stream_without_usage", {
        agent: agentId,
        effect: "the cost of a stream is not known, so what it may cost at most is charged"
      })
    )
  }
}
