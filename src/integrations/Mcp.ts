import { ConfigurationError } from "../schema/ConfigurationError.ts"
import * as Host from "./Host.ts"
import type { McpOptions } from "./McpCalls.ts"
import { type AnyTransport, clientTransport, serverTransport } from "./McpTransport.ts"
import { register, warnGoverned } from "./Registration.ts"

export type { McpOptions, McpPeer } from "./McpCalls.ts"
export { type AnyTransport, clientTransport, serverTransport } from "./McpTransport.ts"

/** A `Client`, `Server` or `McpServer` of either version of the SDK. */
export interface Connectable {
  connect(transport: never, options?: never): Promise<void>
}

export interface McpClientOptions extends McpOptions {
  /** What this program calls the server: policies know its tools as `mcp.<server>.<tool>`. Not what the server says of itself. */
  readonly server: string
}

/**
 * Governs every `tools/call` that reaches a server, before its handler; hidden tools are neither listed nor found. Resources and
 * prompts are apis, `resource:<uri>` and `prompt:<name>`. Call it before `connect`; returns the same object.
 */
export const governServerWith = <S extends Connectable>(server: S, options: McpOptions): S =>
  governing(server, "governServer", options.governance, (transport) => serverTransport(transport, options))

/** The same in an Effect program. */
export const governServer = <S extends Connectable>(server: S, options: Omit<McpOptions, "governance">) =>
  Host.using((governance) => governServerWith(server, { ...options, governance }))

/**
 * Governs every request that an agent makes through a client, by whichever method: a tool is `mcp.<server>.<tool>`, a resource the
 * api `mcp.<server>.resource:<uri>`. Call it before `connect`; returns the same object.
 */
export const governClientWith = <C extends Connectable>(client: C, options: McpClientOptions): C =>
  governing(client, "governClient", options.governance, (transport) =>
    clientTransport(transport, options, `mcp.${options.server}.`)
  )

/** The same in an Effect program. */
export const governClient = <C extends Connectable>(client: C, options: Omit<McpClientOptions, "governance">) =>
  Host.using((governance) => governClientWith(client, { ...options, governance }))

const governed = new WeakSet<object>()

/** All that a client or server sends and receives goes through the transport that it is connected with. */
const governing = <P extends Connectable>(
  peer: P,
  name: string,
  host: Host.Host,
  wrap: (transport: AnyTransport) => AnyTransport
): P => {
  const protocol = protocolOf(peer, name)
  if (governed.has(protocol)) {
    warnGoverned(host, "mcp")
    return peer
  }
  if (protocol.transport !== undefined) {
    throw new ConfigurationError({ setting: name, problem: "is connected already; govern it before connect" })
  }
  const connect = protocol.connect.bind(protocol)
  Object.defineProperty(protocol, "connect", {
    configurable: true,
    writable: true,
    value: (transport: AnyTransport, ...rest: ReadonlyArray<never>) => connect(wrap(transport), ...rest)
  })
  governed.add(protocol)
  register(host, "mcp")
  return peer
}

interface Protocol {
  readonly transport?: unknown
  connect(transport: AnyTransport, ...rest: ReadonlyArray<never>): Promise<void>
}

/** An `McpServer` has the protocol in its field `server`. */
const protocolOf = (peer: object, name: string): Protocol => {
  const found: unknown = "server" in peer ? peer.server : peer
  if (typeof found === "object" && found !== null && "connect" in found && typeof found.connect === "function") {
    // What has `connect` takes a transport, in both versions of the SDK.
    return found as Protocol
  }
  const problem =
    "wants a Client, Server or McpServer of @modelcontextprotocol/sdk 1, or of its successors of version 2"
  throw new ConfigurationError({ setting: name, problem })
}
