import { channel } from "node:diagnostics_channel"
import { once } from "node:events"
import { Agent, get, request } from "node:http"
import { connect, createServer } from "node:http2"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Coverage } from "../../src/services/Coverage.ts"
import { authorityOfUrl, watch } from "../../src/services/RequestWatch.ts"
import { memory } from "../services/World.ts"
import { llmServer, post } from "./LlmServer.ts"

const postBy = (url: string, agent?: Agent) =>
  new Promise<void>((resolve, reject) =>
    request(url, { method: "POST", ...(agent === undefined ? {} : { agent }) }, (response) =>
      response.resume().on("end", resolve)
    )
      .on("error", reject)
      .end("{}")
  )

const measured = <A>(host: string, use: (coverage: Coverage["Service"]) => Promise<A>) =>
  Effect.gen(function* () {
    const coverage = yield* Coverage
    yield* Effect.promise(() => use(coverage))
    const { governed, raw } = yield* coverage.report
    return { governed, raw }
  }).pipe(
    Effect.provide(
      memory({ enableCoverage: true, workspaceSalt: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU", coverageHosts: [host] })
    )
  )

describe("Requests are seen, wrapped or raw (BEY-13)", () => {
  it.effect("of node:http, also when they wait for a socket that others hold", () =>
    Effect.gen(function* () {
      const { host, url } = yield* llmServer
      const agent = new Agent({ maxSockets: 1, keepAlive: true })
      const found = yield* measured(host, (coverage) =>
        Promise.all([
          ...[1, 2, 3].map(() => coverage.send(url, () => postBy(url, agent))),
          ...[1, 2].map(() => postBy(url, agent))
        ])
      )
      agent.destroy()
      assert.deepStrictEqual(found, { governed: 3, raw: 2 })
    })
  )

  it.effect("of node:http2", () =>
    Effect.gen(function* () {
      const server = createServer((_, response) => response.end("{}")).listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(server, "listening"))
      const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
      const client = connect(`http://${host}`)
      const call = async () => {
        const stream = client.request({ ":method": "POST", ":path": "/v1" }).resume()
        stream.end("{}")
        await once(stream, "end")
      }
      const found = yield* measured(host, (coverage) => Promise.all([coverage.send(`http://${host}`, call), call()]))
      client.close()
      server.close()
      assert.deepStrictEqual(found, { governed: 1, raw: 1 })
    })
  )

  it.effect("of fetch, a redirect being one call, and a connection that is refused a call all the same", () =>
    Effect.gen(function* () {
      const { host, url } = yield* llmServer
      const moved = url.replace("/v1", "/moved")
      assert.deepStrictEqual(yield* measured(host, (coverage) => coverage.send(moved, () => post(moved))), {
        governed: 1,
        raw: 0
      })
      const nobody = "http://127.0.0.1:2/v1"
      assert.deepStrictEqual(
        yield* measured("127.0.0.1:2", (coverage) =>
          Promise.allSettled([coverage.send(nobody, () => post(nobody)), post(nobody)])
        ),
        { governed: 1, raw: 1 }
      )
    })
  )

  it.effect("of a WebSocket its handshake; a GET that lists models is no call", () =>
    Effect.gen(function* () {
      const { host, url } = yield* llmServer
      const found = yield* measured(host, async () => {
        await (await fetch(url)).arrayBuffer()
        await new Promise<void>((resolve) => get(url, (response) => response.resume().on("end", resolve)))
        await new Promise((resolve) => new WebSocket(url.replace("http", "ws")).addEventListener("error", resolve))
        // As packages do it that bring a WebSocket of their own.
        const headers = { connection: "Upgrade", upgrade: "websocket" }
        await new Promise<void>((resolve) => get(url, { headers }, (response) => response.resume().on("end", resolve)))
      })
      assert.deepStrictEqual(found, { governed: 0, raw: 2 })
    })
  )
})

describe("What listens to the requests of the host", () => {
  it.effect("throws nothing, whatever comes and whatever it does with it (RES-01)", () =>
    Effect.gen(function* () {
      const uncaught: Array<unknown> = []
      const note = (error: unknown) => void uncaught.push(error)
      process.on("uncaughtException", note)
      let seen = 0
      yield* watch(() => {
        seen++
        throw new Error("a bug of ours")
      })
      const hostile = {
        get request(): unknown {
          throw new Error("hostile")
        }
      }
      for (const name of ["undici:request:create", "http.client.request.start", "http2.client.stream.start"]) {
        for (const message of [null, undefined, 7, {}, { request: null }, { request: { method: "POST" } }, hostile]) {
          channel(name).publish(message)
        }
      }
      const { url } = yield* llmServer
      yield* Effect.promise(() => post(url))
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      process.off("uncaughtException", note)
      assert.strictEqual(seen, 1)
      assert.deepStrictEqual(uncaught, [])
    })
  )

  it.effect("listens no more once its scope is closed", () =>
    Effect.gen(function* () {
      const { url } = yield* llmServer
      const seen: Array<string> = []
      yield* Effect.scoped(
        Effect.andThen(
          watch((host) => void seen.push(host)),
          Effect.promise(() => post(url))
        )
      )
      yield* Effect.promise(() => post(url))
      assert.deepStrictEqual(seen, [new URL(url).host])
    })
  )

  it("reads a host from a URL as Node tells it, and none from what is no URL", () => {
    assert.strictEqual(authorityOfUrl("https://API.openai.com:443/v1"), "api.openai.com")
    assert.strictEqual(authorityOfUrl(new URL("http://127.0.0.1:8080/")), "127.0.0.1:8080")
    assert.isUndefined(authorityOfUrl("/v1/chat"))
  })
})
