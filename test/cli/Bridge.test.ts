import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Audit } from "../../src/services/Audit.ts"
import { BridgeStateStore } from "../../src/services/BridgeStateStore.ts"
import { type Reply, scripted, served } from "../bridge/Platform.ts"
import { governance, memory } from "./InProcess.ts"

const token = "wf_canary_0123456789"
const env = (port: number) => ({
  GOVERNANCE_PLATFORM_BRIDGE_ENABLED: "true",
  GOVERNANCE_PLATFORM_INGEST_URL: `http://127.0.0.1:${port}/api/v1/ingest/events`,
  GOVERNANCE_PLATFORM_INGEST_TOKEN: ` ${token}\n`
})
const smoke = (port: number, ...more: ReadonlyArray<string>) =>
  governance(["bridge", "smoke-test", "--json", "--trust-host", `127.0.0.1:${port}`, ...more], { env: env(port) })

describe("governance bridge", () => {
  it.live("smoke-test sends one event through the real way out, and says that it arrived (BRG-19, BRG-20)", () => {
    const platform = scripted()
    return Effect.gen(function* () {
      const port = yield* served(platform)
      const { code, out } = yield* smoke(port)
      assert.strictEqual(code, 0, out)
      const [event] = [...platform.events.values()]
      assert.deepInclude(event, { event_type: "bridge.smoke_test", agent_id: "governance", seq: 1 })
      assert.deepInclude(JSON.parse(out), { ok: true, eventId: event.event_id })
      assert.strictEqual(platform.asked[0]?.headers.authorization, `Bearer ${token}`)
      assert.notInclude(out, "canary")
    }).pipe(Effect.scoped, Effect.provide(memory))
  })

  const answers: ReadonlyArray<readonly [what: string, reply: Reply, code: number]> = [
    ["401", { status: 401 }, 1],
    ["402", { status: 402 }, 1],
    ["a redirect", { status: 302 }, 5],
    ["500", { status: 500 }, 5],
    ["422", { status: 422 }, 1],
    ["nothing", "cut", 5]
  ]
  for (const [what, reply, code] of answers) {
    it.live(`smoke-test ends with ${code} when the platform answers ${what} (L-06, BRG-07)`, () =>
      Effect.gen(function* () {
        const port = yield* served(scripted(() => reply))
        const ran = yield* smoke(port)
        assert.strictEqual(ran.code, code, ran.err)
        assert.notInclude(ran.out + ran.err, "canary")
      }).pipe(Effect.scoped, Effect.provide(memory))
    )
  }

  it.live("no variable opens a private host, only who types it does (DEC-11, C-02)", () => {
    const platform = scripted()
    return Effect.gen(function* () {
      const port = yield* served(platform)
      const given = { ...env(port), GOVERNANCE_PLATFORM_TRUSTED_HOSTS: `127.0.0.1:${port}` }
      const ran = yield* governance(["bridge", "smoke-test"], { env: given })
      assert.strictEqual(ran.code, 2)
      assert.isEmpty(platform.asked)
      const elsewhere = { ...env(port), GOVERNANCE_PLATFORM_TRUSTED_HOSTS: "platform.example" }
      const narrowed = yield* governance(["bridge", "smoke-test", "--trust-host", `127.0.0.1:${port}`], {
        env: elsewhere
      })
      assert.strictEqual(narrowed.code, 2)
      assert.isEmpty(platform.asked)
      const none = yield* governance(["bridge", "smoke-test"])
      assert.strictEqual(none.code, 2)
      assert.include(none.err, "GOVERNANCE_PLATFORM_INGEST_URL")
    }).pipe(Effect.scoped, Effect.provide(memory))
  })

  it.live("status says what is set and what is missing, and how far the outbox is behind (BRG-01, BEY-16)", () =>
    Effect.gen(function* () {
      const status = (given: Record<string, string>) =>
        Effect.map(governance(["bridge", "status", "--json"], { env: given }), ({ code, out }) => {
          assert.strictEqual(code, 0)
          assert.notInclude(out, "canary")
          return JSON.parse(out)
        })
      assert.deepInclude(yield* status({}), { on: false, token: false, host: null, mode: "queue", outbox: null })
      const { GOVERNANCE_PLATFORM_INGEST_TOKEN: _, ...half } = env(8800)
      assert.deepInclude(yield* status(half), { on: false, missing: "GOVERNANCE_PLATFORM_INGEST_TOKEN" })
      const on = { ...env(8800), GOVERNANCE_PLATFORM_OUTBOX: "true", GOVERNANCE_PLATFORM_WORKFLOW: "staging" }
      yield* (yield* BridgeStateStore).open("bridge/staging", crypto.randomUUID())
      for (let i = 0; i < 3; i++) yield* (yield* Audit).log({ kind: "a", agentId: `agent-${i}` })
      const report = yield* status(on)
      assert.deepInclude(report, {
        on: true,
        missing: null,
        host: "127.0.0.1:8800",
        mode: "outbox",
        workflow: "staging"
      })
      assert.deepInclude(report.outbox, { nextSeq: 1, underWay: 0, behind: 3 })
    }).pipe(Effect.provide(memory))
  )
})
