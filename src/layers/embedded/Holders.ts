import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { createServer, type Server, type Socket } from "node:net"
import { Deferred, Effect } from "effect"
import { EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"

/** Counts the sockets of the openers; each counts from its right token until it closes, in whatever way its process ended. */
export interface Holders {
  readonly port: number
  readonly token: string
  /** Done when the last holder has gone; from then on nobody is let in, and openers start a server of their own. */
  readonly gone: Deferred.Deferred<void>
}

/** Listens on a loopback port. `first` is the pipe of the opener that started us: it counts as a holder until it ends. */
export const listenForHolders = Effect.fnUntraced(function* (first: NodeJS.ReadableStream) {
  const gone = yield* Deferred.make<void>()
  const token = randomBytes(32).toString("hex")
  const holding = new Set<unknown>([first])
  const leave = (holder: unknown) => {
    if (holding.delete(holder) && holding.size === 0) Deferred.doneUnsafe(gone, Effect.void)
  }
  first
    .on("end", () => leave(first))
    .on("close", () => leave(first))
    .on("error", () => leave(first))
    .resume()
  // The answer to a leaving opener is our own end of its socket: the last one's stays open until the server has stopped.
  const welcome = (socket: Socket) => {
    if (holding.size === 0) return socket.destroy()
    holding.add(socket)
    socket.write("welcome\n")
    const left = () => {
      leave(socket)
      if (holding.size > 0) socket.end()
    }
    return socket.on("end", left).on("close", left)
  }
  const server = createServer({ allowHalfOpen: true }, (socket) => readToken(socket, token, welcome))
  const port = yield* Effect.callback<number, EmbeddedPostgresError>((resume) => listen(server, resume))
  return { port, token, gone }
})

const HELLO_MILLIS = 3000

const readToken = (socket: Socket, token: string, welcome: (socket: Socket) => void): void => {
  let said = ""
  const late = setTimeout(() => socket.destroy(), HELLO_MILLIS)
  const read = (chunk: Buffer) => {
    said += chunk.toString("latin1")
    if (said.length <= token.length && !said.endsWith("\n")) return
    clearTimeout(late)
    socket.off("data", read).resume()
    if (same(said.trimEnd(), token)) welcome(socket)
    else socket.destroy()
  }
  socket
    .on("error", () => socket.destroy())
    .on("close", () => clearTimeout(late))
    .on("data", read)
}

const same = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b))
const digest = (text: string) => createHash("sha256").update(text).digest()

const listen = (server: Server, resume: (port: Effect.Effect<number, EmbeddedPostgresError>) => void): void => {
  const fail = (detail: string) =>
    resume(new EmbeddedPostgresError({ operation: "start", problem: "server", subject: "the watchdog's port", detail }))
  server.on("error", (error) => fail(error.message))
  server.listen({ port: 0, host: "127.0.0.1" }, () => {
    const address = server.address()
    if (address !== null && typeof address === "object") resume(Effect.succeed(address.port))
    else fail("no port")
  })
}
