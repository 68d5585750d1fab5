import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { LogicalCall } from "./LogicalCall.ts"
import type { GovernOptions } from "./ModelCall.ts"
import { problemOfOwner } from "./Owner.ts"
import { register, warnGoverned } from "./Registration.ts"

type Fetch = typeof globalThis.fetch

/** An SDK that wrappers patch, and the major version whose insides they know. */
export interface Sdk {
  /** As it registers itself (WRP-09). */
  readonly name: string
  readonly package: string
  readonly major: number
}

/** The insides that the SDKs of OpenAI and Anthropic share: one generator makes both. Partly private in their types. */
export interface SdkClient {
  fetch: Fetch
  makeRequest: (
    options: unknown,
    retriesRemaining: unknown,
    retryOf: unknown,
    ...rest: Array<unknown>
  ) => Promise<unknown>
  prepareOptions: (options: SdkRequest) => Promise<void>
  withOptions: (options: SdkOptions) => object
  getUserAgent: () => string
}

/** What an SDK makes of one call of a method, before it is encoded; the same object for all attempts. */
export interface SdkRequest {
  readonly method: string
  readonly path: string
  body?: unknown
  readonly signal?: AbortSignal | null
}

export interface SdkOptions {
  readonly fetch?: Fetch
  readonly [option: string]: unknown
}

/** What a wrapper patches into a client and into every client that is made of it. */
export type Install = (client: SdkClient) => void

/** Patches a client in place, once. A client that is governed already stays as it is, with a warning (WRP-01). */
export const governSdk = <Client extends object>(
  client: Client,
  sdk: Sdk,
  options: GovernOptions,
  install: Install
): Client => {
  const problem = problemOf(client, sdk) ?? problemOfOwner(options)
  if (problem !== undefined) throw problem
  const { agentId, governance } = options
  if (governed.has(client)) {
    warnGoverned(governance, sdk.name, { agent: agentId })
    return client
  }
  register(governance, sdk.name, versionOf(client))
  // `problemOf` has seen that it has what is patched.
  patch(client as unknown as SdkClient, sdk, install)
  return client
}

const patch = (client: SdkClient, sdk: Sdk, install: Install): void => {
  const { makeRequest, withOptions } = client
  const innerFetch = client.fetch
  governed.add(client)
  client.makeRequest = function (options, retriesRemaining, retryOf, ...rest) {
    const attempt = () => makeRequest.call(this, options, retriesRemaining, retryOf, ...rest)
    const isRetry = retryOf !== undefined && LogicalCall.current() !== undefined
    return isRetry ? attempt() : LogicalCall.run(attempt)
  }
  client.withOptions = function (options) {
    // The clone starts from the client's own fetch, and is governed like this one.
    const clone = withOptions.call(this, { ...options, fetch: options.fetch ?? innerFetch })
    const problem = problemOf(clone, sdk)
    if (problem !== undefined) throw problem
    // A subclass may govern whatever it constructs.
    if (!governed.has(clone)) patch(clone as SdkClient, sdk, install)
    return clone
  }
  install(client)
}

const problemOf = (client: object, sdk: Sdk): ConfigurationError | undefined => {
  const wanted = `${sdk.package} ${sdk.major}`
  const problem = (text: string) => new ConfigurationError({ setting: sdk.package, problem: text })
  if (!isSdkClient(client)) return problem(`this is no client of ${wanted}, which this wrapper needs`)
  const version = versionOf(client)
  if (version !== undefined && Number.parseInt(version, 10) !== sdk.major) {
    return problem(`the client is of version ${version}, but this wrapper needs ${wanted}`)
  }
  if ("_options" in client && isX509(client._options)) {
    return problem("a client with X.509 workload identity sends its requests past every hook, so it cannot be governed")
  }
  return undefined
}

/** As the SDK says it to its provider; unknown where somebody has replaced that. */
const versionOf = (client: object): string | undefined =>
  isSdkClient(client) ? /\/JS (\d+\.\S*)/.exec(client.getUserAgent())?.[1] : undefined

const isSdkClient = (client: object): client is SdkClient =>
  ["fetch", "makeRequest", "prepareOptions", "withOptions", "getUserAgent"].every(
    (name) => name in client && typeof Reflect.get(client, name) === "function"
  )

const isX509 = (options: unknown): boolean =>
  typeof options === "object" && options !== null && "x509Transport" in options && options.x509Transport != null

const governed = new WeakSet<object>()
