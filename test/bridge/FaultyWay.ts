import { createServer, type IncomingMessage, type RequestListener, request as send } from "node:http"
import { Effect } from "effect"
import { listening } from "../egress/Listening.ts"

/** What happens to one request on its way. `lost`: it arrives, and its answer does not come back. */
export type Fault = "none" | "cut" | "lost" | "hang" | { readonly status: number; readonly body?: object }

/** A way to a server on loopback on which requests meet what a script says, in order; after its end nothing. */
export const faultyWay = Effect.fnUntraced(function* (to: number, script: ReadonlyArray<Fault>) {
  const met: Array<string> = []
  const handle: RequestListener = (request, response) => {
    const fault = script[met.length] ?? "none"
    met.push(typeof fault === "string" ? fault : `${fault.status}`)
    void bodyOf(request).then((body) => {
      if (fault === "hang") return
      if (fault === "cut") return request.socket.destroy()
      if (typeof fault === "object") {
        response.writeHead(fault.status, { "retry-after": "0" })
        return response.end(JSON.stringify(fault.body ?? {}))
      }
      const { headers, method, url } = request
      const onward = send({ host: "127.0.0.1", port: to, method, path: url, headers }, (answer) => {
        if (fault === "lost") return request.socket.destroy()
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        return answer.pipe(response)
      })
      onward.on("error", () => request.socket.destroy())
      onward.end(body)
    })
  }
  const port = yield* listening(createServer(handle))
  return { port, met }
})

const bodyOf = async (request: IncomingMessage) => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}
