import { createServer as createHttp, type RequestListener } from "node:http"
import { createServer as createHttps } from "node:https"
import { createServer as createTcp, type Server, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import * as EgressDialler from "../../src/layers/EgressDialler.ts"
import * as EgressResolver from "../../src/layers/EgressResolver.ts"
import * as Egress from "../../src/services/Egress.ts"
import * as Settings from "../../src/services/Settings.ts"
import { makeAuthority, openssl } from "./Authority.ts"
import { rulesOf } from "./Fakes.ts"
import { listening } from "./Listening.ts"

/** The real dialler, the real resolver, loopback only: every place is trusted in code. */
const egressTo = (places: ReadonlyArray<string>, ca: ReadonlyArray<string> = []) =>
  Egress.make(rulesOf({ trusted: places })).pipe(
    Effect.provide(Layer.merge(EgressDialler.layerWith(ca), EgressResolver.layer))
  )

/** Posts once to a server that talks as `handler` does. */
const postedTo = Effect.fnUntraced(function* (server: Server, timeout = Duration.seconds(20)) {
  const port = yield* listening(server)
  const egress = yield* egressTo([`localhost:${port}`])
  return yield* egress.post(`http://localhost:${port}/a?b`, { body: "grüße", headers: { "x-a": "b" }, timeout })
}, Effect.scoped)

const problemOf = (error: { readonly _tag: string }) => ("problem" in error ? error.problem : error._tag)
const http = (handler: RequestListener) => createHttp(handler)
/** Says this as soon as the request has begun, and whatever else it likes. */
const raw = (say: (socket: Socket) => void) => createTcp((socket) => socket.once("data", () => say(socket)))

describe("EgressDialler over loopback", () => {
  it.live("posts once over HTTP/1.1 with the host's own name, and closes (B-08, B-09)", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const response = yield* postedTo(
        http((request, answer) => {
          let body = ""
          request.setEncoding("utf8").on("data", (chunk) => {
            body += chunk
          })
          request.on("end", () => {
            seen.push([request.method, request.url, request.httpVersion, body])
            seen.push(request.headers)
            answer.writeHead(202, {
              "alt-svc": 'h2="internal:443"',
              refresh: "0; url=http://127.0.0.1/",
              "retry-after": "3"
            })
            answer.end("täken")
          })
        })
      )
      assert.deepStrictEqual(response, { status: 202, retryAfter: Duration.seconds(3), body: "täken" })
      assert.deepStrictEqual(seen[0], ["POST", "/a?b", "1.1", "grüße"])
      const headers = seen[1] as Record<string, string>
      assert.match(headers.host!, /^localhost:\d+$/)
      assert.deepStrictEqual(
        [headers.connection, headers["accept-encoding"], headers["content-length"], headers["x-a"]],
        ["close", "identity", "7", "b"]
      )
    })
  )

  it.live("opens a connection for each request, also to a receiver that would keep it (B-08)", () =>
    Effect.gen(function* () {
      let connections = 0
      const server = createHttp({ keepAlive: true }, (_, answer) => {
        answer.shouldKeepAlive = true
        answer.end("ok")
      })
      server.on("connection", () => connections++)
      const port = yield* listening(server)
      const egress = yield* egressTo([`localhost:${port}`])
      for (let i = 0; i < 3; i++) yield* egress.post(`http://localhost:${port}/`, { body: "" })
      assert.strictEqual(connections, 3)
    })
  )

  it.live("does not follow a redirect: the internal server hears nothing (B-09)", () =>
    Effect.gen(function* () {
      let heard = 0
      const inner = yield* listening(
        http((_, answer) => {
          heard++
          answer.end()
        })
      )
      const location = `http://127.0.0.1:${inner}/`
      for (const status of [301, 307]) {
        const outer = http((_, answer) => answer.writeHead(status, { location }).end("moved"))
        assert.strictEqual(problemOf(yield* Effect.flip(postedTo(outer))), "redirect")
      }
      assert.strictEqual(heard, 0)
    })
  )

  const bombs: ReadonlyArray<readonly [what: string, problem: string, say: (socket: Socket) => void]> = [
    [
      "a body without end",
      "tooLarge",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n")
        const more = () => {
          while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 97)));
        }
        socket.on("drain", more)
        more()
      }
    ],
    [
      "headers without end",
      "tooLarge",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n")
        const more = () => {
          while (!socket.destroyed && socket.write(`x-a: ${"a".repeat(1000)}\r\n`));
        }
        socket.on("drain", more)
        more()
      }
    ],
    ["something that is no HTTP", "protocol", (socket) => socket.write("SSH-2.0-OpenSSH_9.9\r\n")],
    [
      "two lengths",
      "protocol",
      (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na")
    ],
    ["nothing, and hangs up", "connection", (socket) => socket.destroy()],
    ["half a body", "connection", (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")],
    [
      "an upgrade",
      "protocol",
      (socket) => socket.write("HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n")
    ]
  ]
  for (const [what, problem, say] of bombs) {
    it.live(`survives a receiver that answers ${what} (B-17)`, () =>
      Effect.gen(function* () {
        const before = process.memoryUsage().rss
        assert.strictEqual(problemOf(yield* Effect.flip(postedTo(raw(say)))), problem)
        assert.isBelow(process.memoryUsage().rss - before, 64 * 1024 * 1024)
      })
    )
  }

  it.live("ends a receiver that says nothing, or one byte now and then, at the deadline (B-17)", () =>
    Effect.gen(function* () {
      const silent = raw(() => {})
      const slow = raw((socket) => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n")
        const timer = setInterval(() => socket.write("a"), 20)
        socket.on("close", () => clearInterval(timer))
      })
      for (const server of [silent, slow])
        assert.strictEqual(problemOf(yield* Effect.flip(postedTo(server, Duration.millis(300)))), "timeout")
    })
  )

  it.live("leaves a compressed answer as it is (B-17)", () =>
    Effect.gen(function* () {
      const server = http((_, answer) => answer.writeHead(200, { "content-encoding": "gzip" }).end("no gzip at all"))
      assert.strictEqual((yield* postedTo(server)).body, "no gzip at all")
    })
  )

  it.live("says that nobody listens, and that a name does not exist (B-05)", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(listening(http(() => {})))
      const egress = yield* egressTo([`127.0.0.1:${port}`, "no-such-host.invalid"])
      const refused = yield* Effect.flip(egress.post(`http://127.0.0.1:${port}/`, { body: "" }))
      assert.deepStrictEqual([problemOf(refused), "code" in refused && refused.code], ["connection", "ECONNREFUSED"])
      const unknown = yield* Effect.flip(egress.post("https://no-such-host.invalid/", { body: "" }))
      assert.strictEqual(problemOf(unknown), "unresolved")
    })
  )
})

describe.skipIf(!openssl)("EgressDialler over TLS (needs the openssl command)", () => {
  it.live("accepts a certificate of an authority that it knows for that very host, and no other (B-16)", () =>
    Effect.gen(function* () {
      const authority = yield* makeAuthority
      let heard = 0
      const shownNames: Array<string | false | null> = []
      const serve = (identity: { key: string; cert: string }, more: object = {}) =>
        listening(
          createHttps({ ...identity, ...more }, (_, answer) => {
            heard++
            answer.end("ok")
          }).on("secureConnection", (socket) => shownNames.push(socket.servername))
        )
      const outcome = Effect.fnUntraced(function* (port: number, host: string, ca: ReadonlyArray<string>) {
        const egress = yield* egressTo([`${host}:${port}`], ca)
        return yield* egress.post(`https://${host}:${port}/`, { body: "{}", timeout: Duration.seconds(20) }).pipe(
          Effect.map(({ body }) => body),
          Effect.catch((error) => Effect.succeed(`${problemOf(error)} ${"code" in error ? error.code : ""}`))
        )
      })
      const known = [authority.ca]
      const good = yield* serve(authority.good)
      assert.strictEqual(yield* outcome(good, "localhost", known), "ok")
      assert.strictEqual(yield* outcome(good, "127.0.0.1", known), "ok")
      assert.deepStrictEqual(shownNames, ["localhost", false])
      assert.strictEqual(heard, 2)

      assert.match(yield* outcome(good, "localhost", []), /^tls /)
      assert.match(
        yield* outcome(yield* serve(authority.selfSigned), "localhost", known),
        /^tls DEPTH_ZERO_SELF_SIGNED_CERT/
      )
      assert.match(yield* outcome(yield* serve(authority.expired), "localhost", known), /^tls CERT_HAS_EXPIRED/)
      assert.match(
        yield* outcome(yield* serve(authority.wrongHost), "localhost", known),
        /^tls ERR_TLS_CERT_ALTNAME_INVALID/
      )
      const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }
      assert.match(yield* outcome(yield* serve(authority.good, old), "localhost", known), /^tls /)
      assert.match(
        yield* outcome(yield* listening(createHttp((_, answer) => answer.end())), "localhost", known),
        /^tls /
      )
      assert.strictEqual(heard, 2)
    })
  )

  it.live("asks a receiver that prefers HTTP/2 for HTTP/1.1 (B-09)", () =>
    Effect.gen(function* () {
      const authority = yield* makeAuthority
      const protocols: Array<string | false | null> = []
      const options = { ...authority.good, ALPNProtocols: ["h2", "http/1.1"] }
      const server = createHttps(options, (_, answer) => answer.end("ok"))
      server.on("secureConnection", (socket) => protocols.push(socket.alpnProtocol))
      const port = yield* listening(server)
      const egress = yield* egressTo([`localhost:${port}`], [authority.ca])
      assert.strictEqual((yield* egress.post(`https://localhost:${port}/`, { body: "" })).body, "ok")
      assert.deepStrictEqual(protocols, ["http/1.1"])
    })
  )
})

describe("EgressDialler by its settings", () => {
  for (const pem of ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]) {
    it.effect(`does not start with ${JSON.stringify(pem.slice(0, 20))} for an authority (ENT-04, B-16)`, () =>
      Effect.gen(function* () {
        const layer = EgressDialler.layer.pipe(Layer.provide(Settings.layer({ egress: { ca: [pem] } })))
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.strictEqual(error.setting, "egress.ca")
      })
    )
  }
})
