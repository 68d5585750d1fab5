import { connect } from "node:net"
import { Context, Effect, Redacted } from "effect"

/**
 * False lets the process end while its connections are idle; whoever waits for an answer keeps it alive by other means. For
 * the Promise facade (SYN-01): a script that forgets to close ends all the same. Default true, as Node does it.
 */
export const KeepsProcessAlive = Context.Reference<boolean>("effect-governance/layers/postgres/KeepsProcessAlive", {
  defaultValue: () => true
})

/** How the driver opens a TCP connection to this address; nothing for it to heed where connections keep the process alive. */
export const openIdle = Effect.fnUntraced(function* (url: Redacted.Redacted) {
  const { hostname, port, searchParams } = new URL(Redacted.value(url))
  // A socket directory or a list of hosts is for the driver to understand.
  if ((yield* KeepsProcessAlive) || hostname === "" || searchParams.has("host")) return {}
  const address = {
    host: decodeURIComponent(hostname).replace(/^\[(.*)\]$/, "$1"),
    port: Number(port || searchParams.get("port") || 5432),
    noDelay: true
  }
  return { stream: () => connect(address).unref() }
})
