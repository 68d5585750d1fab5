import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as Egress from "../../src/services/Egress.ts"
import * as Settings from "../../src/services/Settings.ts"
import { denied } from "./addresses.ts"
import { egressOn, makeNetwork, networkLayer } from "./Fakes.ts"

const post = { body: "{}" }
const url = "https://hooks.example/a?b"

describe("Egress", () => {
  it.effect("dials the address that was checked under the host's own name, after one question (B-05, BRG-13)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      const egress = yield* egressOn(network)
      const headers = { "x-key": Redacted.make("secret") }
      const response = yield* egress.post(url, { ...post, headers })
      assert.deepStrictEqual(response, { status: 200, retryAfter: null, body: "ok" })
      assert.deepStrictEqual([network.resolved, network.dialled], [["hooks.example"], ["8.8.8.8"]])
      const [sent] = network.posted
      assert.deepStrictEqual(
        [sent?.authority, sent?.request],
        ["hooks.example", { method: "POST", headers, body: "{}", maxBody: 65_536, maxHeader: 16_384 }]
      )
    })
  )

  it.effect(
    "dials nothing at all for a host with any denied address, alone or among good ones (B-02 to B-05, G10)",
    () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        const egress = yield* egressOn(network)
        let asked = 0
        for (const address of denied.flatMap(([, ...addresses]) => addresses)) {
          for (const answers of [[address], ["8.8.8.8", address], [address, "2606:4700::1111"]]) {
            network.answers = () => answers
            const error = yield* Effect.flip(egress.post(url, post))
            assert.strictEqual(error._tag, "EgressRefused", address)
            asked++
          }
          const literal = address.includes(":") ? `[${address}]` : address
          assert.strictEqual((yield* Effect.flip(egress.post(`https://${literal}/`, post)))._tag, "EgressRefused")
        }
        assert.lengthOf(network.resolved, asked)
        assert.deepStrictEqual(network.dialled, [])
      })
  )

  it.effect(
    "a name that rebinds between questions is never dialled at its second address, in 10 000 runs (B-05, G10)",
    () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        network.answers = (_, question) => [question % 2 === 1 ? "8.8.8.8" : "127.0.0.1"]
        const egress = yield* egressOn(network)
        for (let i = 0; i < 10_000; i++) yield* Effect.ignore(egress.post(url, post))
        assert.lengthOf(network.resolved, 10_000)
        assert.strictEqual(network.dialled.length, 5_000)
        assert.deepStrictEqual([...new Set(network.dialled)], ["8.8.8.8"])
      })
  )

  it.effect("never asks a resolver about an address or a metadata host (B-04, B-06)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      const egress = yield* egressOn(network)
      yield* egress.post("https://8.8.8.8/", post)
      yield* egress.post("https://[2606:4700::1111]/", post)
      yield* Effect.flip(egress.post("https://metadata.google.internal/", post))
      yield* Effect.flip(egress.post("https://127.1/", post))
      assert.deepStrictEqual([network.resolved, network.dialled], [[], ["8.8.8.8", "2606:4700::1111"]])
    })
  )

  it.effect("sends nothing over a connection that ended somewhere else (B-05)", () =>
    Effect.gen(function* () {
      for (const reached of ["127.0.0.1", "8.8.4.4", "::ffff:8.8.8.8", ""]) {
        const network = makeNetwork()
        network.reached = () => reached
        const error = yield* Effect.flip((yield* egressOn(network)).post(url, post))
        assert.deepStrictEqual([error._tag, "rule" in error && error.rule], ["EgressRefused", "other-address"])
        assert.deepStrictEqual(network.posted, [])
      }
    })
  )

  it.effect("treats an answer that is no address as no answer (B-05)", () =>
    Effect.gen(function* () {
      for (const answers of [[], ["hooks.example"], ["8.8.8.8", "fe80::1%eth0"]]) {
        const network = makeNetwork()
        network.answers = () => answers
        const error = yield* Effect.flip((yield* egressOn(network)).post(url, post))
        assert.deepStrictEqual([error._tag, "problem" in error && error.problem], ["EgressFailed", "unresolved"])
        assert.deepStrictEqual(network.dialled, [])
      }
    })
  )

  it.effect(
    "tries the next address while nothing is connected, four at most, and never after a wrong certificate (B-07, B-16)",
    () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        network.answers = () => ["1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4", "1.0.0.5"]
        network.connect = (address) => (address === "1.0.0.3" ? null : "connection")
        const egress = yield* egressOn(network)
        assert.strictEqual((yield* egress.post(url, post)).status, 200)
        assert.deepStrictEqual(network.dialled.splice(0), ["1.0.0.1", "1.0.0.2", "1.0.0.3"])
        network.connect = () => "connection"
        assert.strictEqual((yield* Effect.flip(egress.post(url, post)))._tag, "EgressFailed")
        assert.lengthOf(network.dialled.splice(0), 4)
        network.connect = () => "tls"
        yield* Effect.flip(egress.post(url, post))
        assert.deepStrictEqual(network.dialled, ["1.0.0.1"])
      })
  )

  it.effect("follows no redirect, with or without a body to resend (B-09, WHK-04)", () =>
    Effect.gen(function* () {
      for (const status of [300, 301, 302, 303, 304, 307, 308]) {
        const network = makeNetwork()
        network.respond = () => ({ status, retryAfter: undefined, body: "" })
        const error = yield* Effect.flip((yield* egressOn(network)).post(url, post))
        assert.deepStrictEqual(
          [error._tag, "problem" in error && error.problem, "code" in error && error.code],
          ["EgressFailed", "redirect", `${status}`]
        )
        assert.lengthOf(network.dialled, 1)
      }
    })
  )

  it.effect("gives up at the deadline, whatever is being waited for (B-17)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      const started = yield* Deferred.make<void>()
      network.wait = Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
      const egress = yield* egressOn(network)
      const fiber = yield* Effect.forkChild(Effect.flip(egress.post(url, { ...post, timeout: Duration.seconds(3) })))
      yield* Deferred.await(started)
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(fiber)
      assert.deepStrictEqual([error._tag, "problem" in error && error.problem], ["EgressFailed", "timeout"])
    })
  )

  it.effect("passes on what the other side asks us to wait, within five minutes (B-18)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      const egress = yield* egressOn(network)
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const cases: ReadonlyArray<readonly [string | undefined, number | null]> = [
        ["7", 7_000],
        [" 0 ", 0],
        ["1000000000", 300_000],
        ["99999999999999999999", 300_000],
        ["-1", null],
        ["1e9", null],
        ["soon", null],
        ["", null],
        [undefined, null],
        ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
        ["Thu, 01 Jan 2099 00:00:00 GMT", 300_000],
        ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
        ["Thu, 99 Foo 2026 00:00:00 GMT", null]
      ]
      for (const [retryAfter, ms] of cases) {
        network.respond = () => ({ status: 429, retryAfter, body: "" })
        const response = yield* egress.post(url, post)
        assert.strictEqual(response.retryAfter === null ? null : Duration.toMillis(response.retryAfter), ms, retryAfter)
      }
    })
  )

  const bad: ReadonlyArray<readonly [what: string, field: string, request: Egress.EgressRequest]> = [
    ["a header that ends the line", "headers.x-token", { body: "", headers: { "x-token": "a\r\nhost: b" } }],
    ["a NUL in a header", "headers.x-token", { body: "", headers: { "x-token": Redacted.make("canary\0") } }],
    ["a letter that is no ASCII", "headers.x-token", { body: "", headers: { "x-token": "ü" } }],
    ["10 MB of header", "headers.x-token", { body: "", headers: { "x-token": "a".repeat(10_000_000) } }],
    ["a header name that is none", "headers", { body: "", headers: { "x token": "a" } }],
    ["a Host of the caller's", "headers.Host", { body: "", headers: { Host: "internal" } }],
    ["framing of the caller's", "headers.Transfer-Encoding", { body: "", headers: { "Transfer-Encoding": "chunked" } }],
    ["a body of 10 MB", "body", { body: "a".repeat(10_000_000) }]
  ]
  for (const [what, field, request] of bad) {
    it.effect(`refuses ${what} before anything is resolved (B-23)`, () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        const error = yield* Effect.flip((yield* egressOn(network)).post(url, request))
        assert.deepStrictEqual([error._tag, "field" in error && error.field], ["InvalidInput", field])
        assert.notInclude(JSON.stringify(error), "canary")
        assert.deepStrictEqual(network.resolved, [])
      })
    )
  }

  it.effect("does not start where certificates are not to be checked (B-10)", () =>
    Effect.gen(function* () {
      const start = (value: string) => egressOn(makeNetwork(), {}, { NODE_TLS_REJECT_UNAUTHORIZED: value })
      const error = yield* Effect.flip(start("0"))
      assert.strictEqual(error.setting, "NODE_TLS_REJECT_UNAUTHORIZED")
      yield* start("1")
    })
  )
})

describe("Egress by its settings", () => {
  const egressBy = (options: Settings.GovernanceOptions, network = makeNetwork()) =>
    Layer.build(Egress.layer.pipe(Layer.provide(networkLayer(network)), Layer.provide(Settings.layer(options)))).pipe(
      Effect.map(Context.get(Egress.Egress)),
      Effect.scoped
    )

  it.effect("opens what code trusts and refuses what a list leaves out (DEC-11)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      network.answers = () => ["10.0.0.1"]
      const lists = { trustedHosts: ["Intra.Example.", "other.example"], allowedHosts: ["intra.example"] }
      const egress = yield* egressBy({ egress: lists }, network)
      assert.strictEqual((yield* egress.post("https://intra.example/", post)).status, 200)
      const refused = yield* Effect.flip(egress.post("https://other.example/", post))
      assert.strictEqual("rule" in refused && refused.rule, "not-allowed")
    })
  )

  for (const entry of ["*.example", "https://intra.example/", "user@intra.example", ""]) {
    it.effect(`does not start with ${JSON.stringify(entry)} for a host (B-13, ENT-04)`, () =>
      Effect.gen(function* () {
        const trusted = yield* Effect.flip(egressBy({ egress: { trustedHosts: [entry] } }))
        assert.strictEqual("setting" in trusted && trusted.setting, "egress.trustedHosts")
        const allowed = yield* Effect.flip(egressBy({ egress: { allowedHosts: ["a.example", entry] } }))
        assert.strictEqual("setting" in allowed && allowed.setting, "egress.allowedHosts")
      })
    )
  }
})
