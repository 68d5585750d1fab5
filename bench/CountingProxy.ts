import { connect, createServer, type Socket } from "node:net"
import { Effect, Redacted } from "effect"

/** From the moment the proxy saw a client's first byte of a query to the moment it passed on that the server is ready again. */
export interface Cycle {
  /** The application name of the connection, which tells what it is for. */
  readonly by: string
  readonly from: number
  readonly to: number
}

export interface CountingProxy {
  readonly url: Redacted.Redacted
  /** Everything since the last call. */
  readonly take: () => ReadonlyArray<Cycle>
}

/**
 * A TCP proxy on loopback that makes the way long: every chunk waits `delayMs` in each direction, so that what runs side by
 * side overlaps and what waits for something else cannot. It reads the protocol as far as message types.
 */
export const make = (target: Redacted.Redacted, delayMs: number) =>
  Effect.acquireRelease(
    Effect.promise(() => listen(new URL(Redacted.value(target)), delayMs)),
    ({ close }) => Effect.promise(close)
  )

const listen = (to: URL, delayMs: number) =>
  new Promise<CountingProxy & { readonly close: () => Promise<void> }>((resolve) => {
    let cycles: Array<Cycle> = []
    const sockets = new Set<Socket>()
    const server = createServer({ noDelay: true }, (client) => {
      const upstream = connect({ port: Number(to.port), host: to.hostname, noDelay: true })
      for (const socket of [client, upstream]) {
        sockets.add(socket)
        socket.on("error", () => socket.destroy())
        socket.on("close", () => {
          sockets.delete(socket)
          client.destroy()
          upstream.destroy()
        })
      }
      let by: string | undefined
      let since: number | undefined
      client.on("data", (chunk) => {
        by ??= /application_name\0([^\0]*)\0/.exec(chunk.toString("latin1"))?.[1] ?? ""
        since ??= performance.now()
        setTimeout(() => upstream.write(chunk), delayMs)
      })
      const frames = new Frames()
      upstream.on("data", (chunk) => {
        const ready = frames.types(chunk).includes(readyForQuery)
        setTimeout(() => {
          client.write(chunk)
          if (!ready || since === undefined) return
          cycles.push({ by: by ?? "", from: since, to: performance.now() })
          since = undefined
        }, delayMs)
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const url = new URL(to)
      url.port = String(typeof address === "object" && address !== null ? address.port : 0)
      resolve({
        url: Redacted.make(url.toString()),
        take: () => {
          const taken = cycles
          cycles = []
          return taken
        },
        close: () =>
          new Promise((done) => {
            server.close(() => done())
            for (const socket of sockets) socket.destroy()
          })
      })
    })
  })

const readyForQuery = "Z".charCodeAt(0)

/** The types of the server's messages, however the stream cuts them. Every message is one byte of type, four of length. */
class Frames {
  #rest = Buffer.alloc(0)

  types(chunk: Buffer): ReadonlyArray<number> {
    const bytes = Buffer.concat([this.#rest, chunk])
    const found: Array<number> = []
    let at = 0
    while (bytes.length - at >= 5) {
      const length = 1 + bytes.readUInt32BE(at + 1)
      if (bytes.length - at < length) break
      found.push(bytes[at]!)
      at += length
    }
    this.#rest = bytes.subarray(at)
    return found
  }
}

/** How many of them had to wait for another: the longest run in which each begins after the one before it has ended. */
export const sequential = (cycles: ReadonlyArray<Cycle>): number => {
  let free = Number.NEGATIVE_INFINITY
  let run = 0
  for (const { from, to } of [...cycles].sort((a, b) => a.to - b.to)) {
    if (from < free) continue
    free = to
    run++
  }
  return run
}
