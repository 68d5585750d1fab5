import { assert, layer } from "@effect/vitest"
import { Clock, DateTime, Effect } from "effect"
import { InboxStore } from "../../src/services/InboxStore.ts"
import { platform, send, tenant, upgradeUrl } from "./Serving.ts"

const path = "/api/v1/bridge/gates"
const hash = "a".repeat(64)
export const gate = (changes: Record<string, unknown> = {}) =>
  Effect.map(Clock.currentTimeMillis, (nowMs) => ({
    request_id: globalThis.crypto.randomUUID(),
    agent_id: "clerk",
    kind: "refund",
    action_hash: hash,
    expires_at: DateTime.formatIso(DateTime.makeUnsafe(nowMs + 600_000)),
    sdk_version: "0.1.0",
    ...changes
  }))
const resolution = (id: string) => `${path}/${id}/resolution`

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("The platform's gates", (it) => {
  it.effect(
    "are forwarded once, polled, and answered from the inbox with the action and the person (PLT-04, FWD-12)",
    () =>
      Effect.gen(function* () {
        const { token, ...place } = yield* tenant()
        const body = yield* gate()
        const pending = { status: "pending", resolved_at: null, action_hash: hash, decided_by: null }
        const first = yield* send("POST", path, { token, body })
        assert.deepStrictEqual([first.status, first.body], [200, pending])
        assert.strictEqual((yield* send("POST", path, { token, body })).status, 200)
        assert.strictEqual((yield* send("POST", path, { token, body: { ...body, kind: "other" } })).status, 409)
        const store = yield* InboxStore
        const shown = { decision: "granted", by: "ann@example.org", atMs: 1_000, actionHash: hash } as const
        yield* store.decide(place, body.request_id, shown)
        assert.deepStrictEqual((yield* send("GET", resolution(body.request_id), { token })).body, {
          status: "granted",
          resolved_at: "1970-01-01T00:00:01.000Z",
          action_hash: hash,
          decided_by: "ann@example.org"
        })
      })
  )

  it.effect("let the decision of the customer's own database win over the inbox's (PLT-06, FWD-06, FWD-08)", () =>
    Effect.gen(function* () {
      const { token, ...place } = yield* tenant()
      const body = yield* gate()
      yield* send("POST", path, { token, body })
      const shown = { decision: "granted", by: "ann@example.org", atMs: 1_000, actionHash: hash } as const
      yield* (yield* InboxStore).decide(place, body.request_id, shown)
      const local = { status: "denied", resolved_at: "2026-01-01T00:00:00.000Z" }
      const answer = yield* send("POST", resolution(body.request_id), { token, body: local })
      assert.deepStrictEqual([answer.status, answer.body], [200, { ...local, action_hash: hash, decided_by: null }])
      assert.deepInclude((yield* send("GET", resolution(body.request_id), { token })).body, { status: "denied" })
    })
  )

  it.effect("give the same 404 for an id that nobody has and for one of another workflow (P-11, P-03)", () =>
    Effect.gen(function* () {
      const [own, other] = [yield* tenant(), yield* tenant()]
      const body = yield* gate()
      yield* send("POST", path, { token: other.token, body })
      for (const id of [body.request_id, globalThis.crypto.randomUUID()]) {
        const asked = yield* send("GET", resolution(id), { token: own.token })
        assert.deepStrictEqual([asked.status, asked.body], [404, { error: "not_found" }])
        const told = { status: "granted", resolved_at: "2026-01-01T00:00:00.000Z" }
        const settled = yield* send("POST", resolution(id), { token: own.token, body: told })
        assert.deepStrictEqual([settled.status, settled.body], [404, { error: "not_found" }])
      }
      assert.deepInclude((yield* send("GET", resolution(body.request_id), { token: other.token })).body, {
        status: "pending"
      })
    })
  )

  it.effect("answer 402 with the address of an upgrade where the tier has no inbox (PLT-08, OQ-29)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant("free")
      const refused = [402, { error: "tier_not_entitled", upgrade_url: upgradeUrl }]
      const forward = yield* send("POST", path, { token, body: yield* gate() })
      assert.deepStrictEqual([forward.status, forward.body], refused)
      const poll = yield* send("GET", resolution(globalThis.crypto.randomUUID()), { token })
      assert.deepStrictEqual([poll.status, poll.body], refused)
    })
  )

  it.effect("keep nothing besides the six fields, whatever is sent with them (FWD-02, FWD-03, P-08)", () =>
    Effect.gen(function* () {
      const { token, ...place } = yield* tenant()
      const canary = "canary-value-that-must-not-stay"
      const banned = ["token", "secret", "payload", "chain_key", "reason", "decision", "hmac", "client_hmac"]
      const body = yield* gate(Object.fromEntries(banned.map((name) => [name, canary])))
      assert.strictEqual((yield* send("POST", path, { token, body })).status, 200)
      const kept = yield* (yield* InboxStore).list(place.workspace, { open: true, nowMs: 0, limit: 10 })
      assert.lengthOf(kept, 1)
      assert.notInclude(JSON.stringify(kept), canary)
    })
  )
})
