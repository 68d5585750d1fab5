import { connect, createServer, type Socket } from "node:net"
import { Effect, Redacted } from "effect"

/**
 * A TCP proxy on loopback in front of the database. `silence` makes the connections that are open now swallow what the
 * server answers, without closing them; later connections work.
 */
export const make = (target: Redacted.Redacted) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly url: Redacted.Redacted
      readonly silence: Effect.Effect<number>
      readonly close: () => void
    }>((resume) => {
      const to = new URL(Redacted.value(target))
      const open = new Set<{ readonly client: Socket; readonly server: Socket; silent: boolean }>()
      const server = createServer((client) => {
        const upstream = connect(Number(to.port), to.hostname)
        const pair = { client, server: upstream, silent: false }
        open.add(pair)
        client.on("data", (bytes) => upstream.write(bytes))
        upstream.on("data", (bytes) => pair.silent || client.write(bytes))
        const end = () => {
          open.delete(pair)
          client.destroy()
          upstream.destroy()
        }
        for (const socket of [client, upstream]) socket.on("error", end).on("close", end)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const url = new URL(to)
        url.port = String(typeof address === "object" && address !== null ? address.port : 0)
        resume(
          Effect.succeed({
            url: Redacted.make(url.toString()),
            silence: Effect.sync(() => {
              for (const pair of open) pair.silent = true
              return open.size
            }),
            close: () => {
              server.close()
              for (const pair of open) pair.client.destroy()
            }
          })
        )
      })
    }),
    (proxy) => Effect.sync(proxy.close)
  )
