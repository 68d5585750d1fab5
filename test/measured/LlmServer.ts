import { once } from "node:events"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

/** A language model on loopback, which remembers the headers of every request. `/moved` sends on to `/v1`. */
export const llmServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const asked: Array<IncomingHttpHeaders> = []
    const server = createServer((request, response) => {
      asked.push(request.headers)
      request.resume()
      if (request.url === "/moved") response.writeHead(307, { location: "/v1" })
      response.end("{}")
    })
    server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    return { asked, server, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/v1` }
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.closeAllConnections()
      server.close()
    })
)

export const post = (url: string): Promise<void> =>
  fetch(url, { method: "POST", body: "{}" }).then((response) => response.arrayBuffer().then(() => {}))
