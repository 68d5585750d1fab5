import type { AddressInfo, Server, Socket } from "node:net"
import { Effect } from "effect"

/** The loopback port of a server that is closed, with all its connections, with the scope. */
export const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      const sockets = new Set<Socket>()
      server.on("connection", (socket: Socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
      })
      server.on("close-all", () => {
        for (const socket of sockets) socket.destroy()
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    }),
    () =>
      Effect.sync(() => {
        server.emit("close-all")
        server.close()
      })
  )
