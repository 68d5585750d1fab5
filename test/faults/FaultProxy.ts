import { connect, createServer, type Socket } from "node:net"
import { Effect, Redacted } from "effect"

/** What happens to bytes, from now on, on connections whose start-up packet contains `only` (all of them without it). */
export interface Fault {
  readonly only?: string
  /** New connections are reset at once. */
  readonly refuse?: boolean
  /** Bytes of this direction vanish; the connection stays open and never works again. */
  readonly blackHole?: "toServer" | "toClient" | "both"
  readonly latencyMs?: number
  readonly jitterMs?: number
  readonly bytesPerSecond?: number
  /** Bytes arrive in pieces of at most this size. */
  readonly slice?: number
  /** A message of the server's of this type never arrives, the connection is reset instead: one of many, or the nth from now on. */
  readonly cut?: { readonly message: string } & ({ readonly chance: number } | { readonly nth: number })
}

/** A TCP proxy on loopback in front of a database (F-04, F-06, F-07). */
export interface FaultProxy {
  readonly url: Redacted.Redacted<string>
  readonly set: (fault: Fault) => Effect.Effect<void>
  /** Resets every open connection; returns how many there were. */
  readonly reset: Effect.Effect<number>
  /** `messages`: those of the type to be cut, since it was set. */
  readonly stats: { cuts: number; connections: number; messages: number }
}

export const make = (target: Redacted.Redacted<string>) =>
  Effect.acquireRelease(
    Effect.promise(() => listen(new URL(Redacted.value(target)))),
    ({ close }) => Effect.promise(close)
  )

const listen = (to: URL) =>
  new Promise<FaultProxy & { readonly close: () => Promise<void> }>((resolve) => {
    let fault: Fault = {}
    const stats = { cuts: 0, connections: 0, messages: 0 }
    const open = new Set<Pair>()
    const server = createServer((client) => {
      stats.connections++
      if (fault.refuse === true) return void client.resetAndDestroy()
      const pair = new Pair(client, connect(Number(to.port), to.hostname), () => fault, stats)
      open.add(pair)
      client.on("close", () => open.delete(pair))
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const url = new URL(to)
      url.port = String(typeof address === "object" && address !== null ? address.port : 0)
      const reset = () => {
        const all = [...open]
        for (const pair of all) pair.end()
        return all.length
      }
      resolve({
        url: Redacted.make(url.toString()),
        stats,
        set: (next) =>
          Effect.sync(() => {
            fault = next
            stats.messages = 0
          }),
        reset: Effect.sync(reset),
        close: () =>
          new Promise((done) => {
            server.close(() => done())
            reset()
          })
      })
    })
  })

class Pair {
  startup = ""
  readonly #client: Socket
  readonly #upstream: Socket
  readonly #fault: () => Fault
  readonly #frames = new Frames()

  constructor(client: Socket, upstream: Socket, fault: () => Fault, stats: FaultProxy["stats"]) {
    this.#client = client
    this.#upstream = upstream
    this.#fault = fault
    const toServer = new Lane(upstream)
    const toClient = new Lane(client)
    client.on("data", (bytes) => {
      if (this.startup === "") this.startup = bytes.toString("latin1")
      toServer.push(bytes, this.#now(), "toServer")
    })
    upstream.on("data", (bytes) => {
      const now = this.#now()
      const kept = this.#frames.until(bytes, now.cut, stats)
      if (kept === undefined) return toClient.push(bytes, now, "toClient")
      stats.cuts++
      client.write(kept, () => this.end())
    })
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      socket.on("error", () => this.end()).on("close", () => this.end())
    }
  }

  end() {
    this.#client.resetAndDestroy()
    this.#upstream.destroy()
  }

  #now(): Fault {
    const fault = this.#fault()
    return fault.only === undefined || this.startup.includes(fault.only) ? fault : {}
  }
}

/** One direction: one queue and one timer, so that the order of bytes is kept whatever delays them and however late timers fire. */
class Lane {
  readonly #to: Socket
  readonly #pieces: Array<{ readonly bytes: Buffer; readonly due: number }> = []
  #waiting = false
  #dead = false
  #last = 0
  constructor(to: Socket) {
    this.#to = to
  }
  push(bytes: Buffer, fault: Fault, direction: "toServer" | "toClient") {
    if (fault.blackHole === "both" || fault.blackHole === direction) this.#dead = true
    if (this.#dead) return
    const { bytesPerSecond, jitterMs = 0, latencyMs = 0, slice } = fault
    const size = slice ?? bytes.length
    for (let at = 0; at < bytes.length; at += size) {
      const piece = bytes.subarray(at, at + size)
      const pace =
        bytesPerSecond === undefined ? (slice === undefined ? 0 : 0.05) : (1000 * piece.length) / bytesPerSecond
      this.#last = Math.max(this.#last, performance.now() + latencyMs + Math.random() * jitterMs) + pace
      this.#pieces.push({ bytes: piece, due: this.#last })
    }
    if (!this.#waiting) this.#pump()
  }
  #pump() {
    this.#waiting = false
    if (this.#dead || this.#to.destroyed) return
    const now = performance.now()
    while ((this.#pieces[0]?.due ?? now + 1) <= now) this.#to.write(this.#pieces.shift()!.bytes)
    const [next] = this.#pieces
    if (next === undefined) return
    this.#waiting = true
    setTimeout(() => this.#pump(), next.due - now)
  }
}

/** Follows the server's messages (type, length, body) over the borders of chunks. */
class Frames {
  #header = Buffer.alloc(0)
  #body = 0
  /** The bytes before the message that is to be cut, or undefined when nothing is. */
  until(bytes: Buffer, cut: Fault["cut"], stats: FaultProxy["stats"]): Buffer | undefined {
    let at = 0
    while (at < bytes.length) {
      if (this.#body > 0) {
        const skipped = Math.min(this.#body, bytes.length - at)
        this.#body -= skipped
        at += skipped
        continue
      }
      const start = at - this.#header.length
      const take = Math.min(5 - this.#header.length, bytes.length - at)
      this.#header = Buffer.concat([this.#header, bytes.subarray(at, at + take)])
      at += take
      if (this.#header.length < 5) return undefined
      const type = String.fromCharCode(this.#header[0] ?? 0)
      this.#body = this.#header.readUInt32BE(1) - 4
      this.#header = Buffer.alloc(0)
      if (cut?.message !== type) continue
      stats.messages++
      const hit = "nth" in cut ? stats.messages === cut.nth : Math.random() < cut.chance
      if (hit) return bytes.subarray(0, Math.max(0, start))
    }
    return undefined
  }
}
