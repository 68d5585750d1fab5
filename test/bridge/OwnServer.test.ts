import { createServer, type RequestListener } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Bridge from "../../src/bridge/Bridge.ts"
import { Audit } from "../../src/services/Audit.ts"
import { governance, memory as memoryOfCommands } from "../cli/InProcess.ts"
import { listening } from "../egress/Listening.ts"
import { capture, memory } from "../services/World.ts"
import { scripted, served } from "./Platform.ts"
import { stats, token } from "./World.ts"

const over = (port: number, outbox: boolean) =>
  Bridge.layer.pipe(
    Layer.provideMerge(
      memory({
        platform: {
          bridgeEnabled: true,
          ingestUrl: `http://127.0.0.1:${port}/api/v1/ingest/events?source=app`,
          ingestToken: token,
          trustedHosts: [`127.0.0.1:${port}`],
          outbox
        }
      })
    )
  )

/** A program with governance and a server, to which its bridge points by mistake, and where every request is an event. */
const program = (answer: RequestListener, outbox: boolean) =>
  Effect.gen(function* () {
    let requests = 0
    let onRequest = () => {}
    const port = yield* listening(
      createServer((request, response) => {
        requests++
        onRequest()
        answer(request, response)
      })
    )
    const lines = capture()
    yield* Effect.gen(function* () {
      const log = Audit.use((audit) => audit.log({ kind: "request", agentId: "clerk" }))
      const fork = Effect.runForkWith(yield* Effect.context<Audit>())
      onRequest = () => void fork(log)
      if (outbox) yield* Effect.sleep("1500 millis")
      yield* log
      for (let i = 0; i < 400 && !(yield* stats).disabled && requests < 500; i++) yield* Effect.sleep(10)
      const seen = requests
      for (let i = 0; i < 5; i++) yield* log
      yield* Effect.sleep(200)
      assert.isAtMost(requests, seen + 1)
      assert.deepInclude(yield* stats, { disabled: true, disabledReason: "loop_detected", sent: 0 })
    }).pipe(Effect.provide(over(port, outbox)), Effect.provide(lines.layer))
    assert.isAtMost(requests, 5)
    const [line, ...others] = lines.named("platform.bridge_disabled")
    assert.isEmpty(others)
    assert.include(line?.message, "loop_detected")
  }).pipe(Effect.scoped)

const says =
  (status: number, type: string, text: string): RequestListener =>
  (request, response) => {
    request.resume()
    response.writeHead(status, { "content-type": type }).end(text)
  }

describe("a bridge that points at its own program", () => {
  const servers: ReadonlyArray<readonly [what: string, RequestListener]> = [
    ["has no such route", says(404, "application/json", '{"error":"not found"}')],
    ["shows its page whatever is asked for", says(200, "text/html", "<!doctype html><title>our app</title>")],
    ["lets nobody in without its own mark", says(403, "text/html", "CSRF")],
    ["leads elsewhere", says(302, "text/plain", "")]
  ]
  for (const [what, server] of servers) {
    it.live(`stops at its first requests where the server ${what}: no event begets the next (B-14)`, () =>
      program(server, false)
    )
  }

  it.live("stops with the outbox too, and nothing is counted as sent (B-14, V8-02)", () =>
    program(servers[1]![1], true)
  )

  it.live("goes on with a platform in the same process, and with another program's server (B-14)", () =>
    Effect.gen(function* () {
      const platform = scripted()
      const port = yield* served(platform)
      yield* Effect.gen(function* () {
        const audit = yield* Audit
        for (let n = 1; n <= 3; n++) {
          yield* audit.log({ kind: "tool.call", agentId: "clerk" })
          for (let i = 0; i < 400 && (yield* stats).sent < n; i++) yield* Effect.sleep(10)
        }
        assert.deepInclude(yield* stats, { disabled: false, sent: 3 })
        assert.include(platform.paths(), "POST /api/v1/ingest/events?source=app")
      }).pipe(Effect.provide(over(port, false)))
      // The name of one deployment says nothing to another: here a server that is not ours has no such route.
      const strange = scripted(() => ({ status: 404 }))
      const other = yield* served(strange)
      const [header] = platform.asked.map(({ headers }) => headers["governance-via"])
      assert.match(header ?? "", /^[0-9a-f]{32}$/)
      yield* Effect.gen(function* () {
        const response = yield* Effect.promise(() =>
          fetch(`http://127.0.0.1:${other}/api/v1/ingest/events`, {
            method: "POST",
            headers: { "governance-via": header ?? "" },
            body: "{}"
          })
        )
        assert.strictEqual(response.status, 404)
        yield* Effect.sleep(50)
        assert.isFalse((yield* stats).disabled)
      }).pipe(Effect.provide(over(port, false)))
    }).pipe(Effect.scoped)
  )

  it.live("the smoke test does not take a page for a platform (B-14, BRG-19)", () =>
    Effect.gen(function* () {
      const port = yield* listening(createServer(servers[1]![1]))
      const env = {
        GOVERNANCE_PLATFORM_BRIDGE_ENABLED: "true",
        GOVERNANCE_PLATFORM_INGEST_URL: `http://127.0.0.1:${port}/api/v1/ingest/events`,
        GOVERNANCE_PLATFORM_INGEST_TOKEN: token
      }
      const ran = yield* governance(["bridge", "smoke-test", "--trust-host", `127.0.0.1:${port}`], { env })
      assert.strictEqual(ran.code, 5)
      assert.include(ran.err, "not a platform's route")
    }).pipe(Effect.scoped, Effect.provide(memoryOfCommands))
  )
})
