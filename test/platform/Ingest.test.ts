import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { TimelineQuery } from "../../src/services/IngestStore.ts"
import { IngestStore } from "../../src/services/IngestStore.ts"
import { WorkspaceStore } from "../../src/services/WorkspaceStore.ts"
import { kinds, randomOf } from "../schema/SecretKinds.ts"
import { platform, send, tenant } from "./Serving.ts"

const event = (seq: number, changes: Record<string, unknown> = {}) => ({
  seq,
  event_id: globalThis.crypto.randomUUID(),
  event_type: "tool.call",
  agent_id: "clerk",
  session_id: "s-1",
  created_at: "2026-01-01T00:00:00.000Z",
  metadata: { tool: "refund" },
  sdk_version: "0.1.0",
  ...changes
})
const all: TimelineQuery = { before: null, after: null, agent: null, session: null, eventType: null, limit: 500 }
const path = "/api/v1/ingest/events"

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("The platform takes events", (it) => {
  it.effect("and says with 2xx that one is stored, once however often it comes (PLT-03, P-01, P-07)", () =>
    Effect.gen(function* () {
      const { token, ...place } = yield* tenant()
      const body = event(1)
      const first = yield* send("POST", path, { token, body })
      assert.deepStrictEqual([first.status, first.body], [200, { accepted: 1, duplicates: 0, expected_seq: 2 }])
      const again = yield* send("POST", path, { token, body })
      assert.deepStrictEqual(again.body, { accepted: 0, duplicates: 1, expected_seq: 2 })
      assert.lengthOf(yield* (yield* IngestStore).timeline(place, all), 1)
    })
  )

  it.effect("answers 409 with the number it expects, for each sender by itself (PLT-03, PLT-11, BRG-10)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant()
      const late = yield* send("POST", path, { token, body: event(5) })
      assert.deepStrictEqual([late.status, late.body], [409, { error: "seq_out_of_order", expected_seq: 1 }])
      assert.strictEqual((yield* send("POST", path, { token, body: event(1) })).status, 200)
      const headers = { "governance-instance": "other" }
      assert.strictEqual((yield* send("POST", path, { token, headers, body: event(1) })).status, 200)
      assert.strictEqual((yield* send("POST", path, { token, body: event(2) })).status, 200)
    })
  )

  it.effect("takes a batch whole or not at all (PLT-03)", () =>
    Effect.gen(function* () {
      const { token, ...place } = yield* tenant()
      const batch = (...events: ReadonlyArray<unknown>) => send("POST", `${path}/batch`, { token, body: { events } })
      assert.deepStrictEqual((yield* batch(event(1), event(2))).body, { accepted: 2, duplicates: 0, expected_seq: 3 })
      const torn = yield* batch(event(3), event(9))
      assert.deepStrictEqual([torn.status, torn.body], [409, { error: "seq_out_of_order", expected_seq: 3 }])
      assert.strictEqual((yield* batch(...Array.from({ length: 101 }, (_, i) => event(3 + i)))).status, 400)
      assert.strictEqual((yield* batch()).status, 400)
      assert.lengthOf(yield* (yield* IngestStore).timeline(place, all), 2)
    })
  )

  it.effect("answers 409 for a known id with other content and keeps both digests (P-02)", () =>
    Effect.gen(function* () {
      const { token, ...place } = yield* tenant()
      const body = event(1)
      yield* send("POST", path, { token, body })
      const forged = yield* send("POST", path, { token, body: { ...body, seq: 2, metadata: { tool: "other" } } })
      assert.deepStrictEqual(
        [forged.status, forged.body],
        [409, { error: "event_id_conflict", event_id: body.event_id }]
      )
      const [conflict] = yield* (yield* IngestStore).conflicts(place, 10)
      assert.strictEqual(conflict?.event, body.event_id)
      assert.notStrictEqual(conflict?.keptDigest, conflict?.otherDigest)
    })
  )

  it.effect("gives the same 401 for no token, half a token, a wrong one and a revoked one (P-03, PLT-03)", () =>
    Effect.gen(function* () {
      const { token, tokenId, ...place } = yield* tenant()
      const body = event(1)
      const wrong = `wf_${"A".repeat(43)}`
      for (const bad of [undefined, "", token.slice(0, 20), wrong, `${token}x`, token.toUpperCase()]) {
        const answer = yield* send("POST", path, { token: bad, body })
        assert.deepStrictEqual([answer.status, answer.body], [401, { error: "unauthorized" }], bad)
      }
      assert.strictEqual((yield* send("POST", path, { token, body })).status, 200)
      yield* (yield* WorkspaceStore).revokeToken(place, tokenId, 1)
      assert.strictEqual((yield* send("POST", path, { token, body: event(2) })).status, 401)
    })
  )

  it.effect("keeps nothing of 50 kinds of secrets in any field that a caller controls (PLT-07, P-08)", () =>
    Effect.gen(function* () {
      const { token, ...place } = yield* tenant()
      const secrets = kinds.map(({ make, name }, i) => ({ name, ...make(randomOf(i + 1)) }))
      let seq = 0
      for (const { secret, text } of secrets) {
        const body = event(++seq, { event_type: `t ${text}`.slice(0, 128), metadata: { note: text, [text]: [text] } })
        const answer = yield* send("POST", path, { token, body })
        assert.strictEqual(answer.status, 200, JSON.stringify(answer.body))
        assert.notInclude(JSON.stringify(answer), secret)
      }
      const kept = JSON.stringify(yield* (yield* IngestStore).timeline(place, all))
      for (const { name, secret } of secrets) assert.isFalse(kept.includes(secret), name)
    })
  )

  it.effect("refuses what is too large, too deep, packed or no event before anything is kept (P-05)", () =>
    Effect.gen(function* () {
      const { token, ...place } = yield* tenant()
      const post = (text: string, headers = {}) => send("POST", path, { token, text, headers })
      const metadata = (bytes: number) => ({ a: "x y ".repeat(bytes / 4).slice(0, bytes - 8) })
      assert.strictEqual((yield* post(JSON.stringify(event(1, { metadata: metadata(65_537) })))).status, 413)
      assert.strictEqual((yield* post(`"${"x".repeat(500_000)}"`)).status, 413)
      assert.strictEqual((yield* post("[".repeat(100_000))).status, 400)
      assert.strictEqual((yield* post(JSON.stringify(event(1)), { "content-encoding": "gzip" })).status, 415)
      for (const bad of [
        "",
        "{",
        "null",
        "[]",
        JSON.stringify(event(0)),
        JSON.stringify(event(1, { event_id: "x" }))
      ]) {
        const answer = yield* post(bad)
        assert.deepStrictEqual([answer.status, answer.body], [400, { error: "invalid" }], bad)
      }
      assert.deepStrictEqual(yield* (yield* IngestStore).timeline(place, all), [])
      assert.strictEqual((yield* post(JSON.stringify(event(1, { metadata: metadata(65_536) })))).status, 200)
    })
  )

  it.effect("keeps NUL and half characters without failing, and no more of them than JSON can say (P-05)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant()
      const text = JSON.stringify(event(1)).replace('"refund"', '{"a\\u0000":"\\ud800 \\u0000"}')
      assert.strictEqual((yield* send("POST", path, { token, text })).status, 200)
      assert.strictEqual((yield* send("POST", path, { token, body: event(2, { event_type: "\u0000" }) })).status, 400)
    })
  )

  it.effect("sends strict headers with every answer and serves its contract (PLT-03)", () =>
    Effect.gen(function* () {
      const health = yield* send("GET", "/health")
      assert.deepStrictEqual([health.status, health.body], [200, { status: "ok" }])
      assert.strictEqual(health.headers["x-content-type-options"], "nosniff")
      assert.include(health.headers["content-security-policy"], "default-src 'none'")
      const document = yield* send("GET", "/openapi.json")
      assert.containsAllKeys((document.body as { paths: object }).paths, [path, `${path}/batch`])
      const nowhere = yield* send("GET", "/nowhere")
      assert.deepStrictEqual([nowhere.status, nowhere.body], [404, { error: "not_found" }])
    })
  )
})
