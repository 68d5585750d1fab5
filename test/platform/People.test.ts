import { assert, layer } from "@effect/vitest"
import { Clock, DateTime, Effect } from "effect"
import { person, platform, send, tenant } from "./Serving.ts"

interface Shown {
  readonly token: string
  readonly token_id: string
  readonly workflow: string
}

const hash = "a".repeat(64)
const event = (seq: number, agent = "clerk") => ({
  seq,
  event_id: globalThis.crypto.randomUUID(),
  event_type: "tool.call",
  agent_id: agent,
  session_id: null,
  created_at: "2026-01-01T00:00:00.000Z",
  metadata: { seq },
  sdk_version: "0.1.0"
})

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("People of a platform", (it) => {
  it.effect("make workflows, see their token once, exchange and revoke it (PLT-02)", () =>
    Effect.gen(function* () {
      const { workspace } = yield* tenant()
      const { cookie } = yield* person(workspace, "admin")
      const below = `/api/v1/workspaces/${workspace}/workflows`
      const made = yield* send("POST", below, { cookie, body: { name: "staging" } })
      const { token, token_id: tokenId, workflow } = made.body as Shown
      assert.strictEqual(made.status, 201)
      assert.match(token, /^wf_[\w-]{43}$/)
      assert.strictEqual((yield* send("POST", below, { cookie, body: { name: "staging" } })).status, 409)
      const ingest = (bearer: string, seq: number) =>
        Effect.map(send("POST", "/api/v1/ingest/events", { token: bearer, body: event(seq) }), ({ status }) => status)
      assert.strictEqual(yield* ingest(token, 1), 200)
      const second = (yield* send("POST", `${below}/${workflow}/tokens`, { cookie })).body as Shown
      assert.strictEqual((yield* send("DELETE", `${below}/${workflow}/tokens/${tokenId}`, { cookie })).status, 204)
      assert.strictEqual(yield* ingest(token, 2), 401)
      assert.strictEqual(yield* ingest(second.token, 2), 200)
      const shown = yield* send("GET", `${below}/${workflow}`, { cookie })
      assert.lengthOf((shown.body as { tokens: Array<unknown> }).tokens, 2)
      for (const secret of [token, second.token]) assert.notInclude(JSON.stringify(shown.body), secret)
    })
  )

  it.effect("see what was sent, newest first, in pages and by agent (PLT-05)", () =>
    Effect.gen(function* () {
      const { token, workflow, workspace } = yield* tenant()
      const { cookie } = yield* person(workspace, "viewer")
      for (const seq of [1, 2, 3]) {
        yield* send("POST", "/api/v1/ingest/events", { token, body: event(seq, seq === 2 ? "other" : "clerk") })
      }
      const timeline = (query: string) =>
        Effect.map(
          send("GET", `/api/v1/workspaces/${workspace}/workflows/${workflow}/timeline${query}`, { cookie }),
          ({ body }) => (body as ReadonlyArray<{ position: number; cursor: string }>).map(({ position }) => position)
        )
      const all = yield* send("GET", `/api/v1/workspaces/${workspace}/workflows/${workflow}/timeline`, { cookie })
      const cursors = (all.body as ReadonlyArray<{ cursor: string }>).map(({ cursor }) => cursor)
      assert.deepStrictEqual(yield* timeline(""), [3, 2, 1])
      assert.deepStrictEqual(yield* timeline(`?limit=1&before=${cursors[0]}`), [2])
      assert.deepStrictEqual(yield* timeline(`?after=${cursors[2]}`), [3, 2])
      assert.deepStrictEqual(yield* timeline("?after=start&limit=2"), [2, 1])
      assert.deepStrictEqual(yield* timeline("?agent=other"), [2])
      assert.deepStrictEqual(yield* timeline(`?agent=${encodeURIComponent("' OR 1=1 --\u0000")}`), [])
      const bad = yield* send("GET", `/api/v1/workspaces/${workspace}/workflows/${workflow}/timeline?limit=0`, {
        cookie
      })
      assert.deepStrictEqual([bad.status, bad.body], [400, { error: "invalid" }])
    })
  )

  it.effect(
    "decide in the inbox once, about the action that they were shown, and the bridge is told (PLT-06, FWD-12)",
    () =>
      Effect.gen(function* () {
        const { token, workflow, workspace } = yield* tenant("team")
        const { cookie, email } = yield* person(workspace, "approver")
        const soon = DateTime.formatIso(DateTime.makeUnsafe((yield* Clock.currentTimeMillis) + 60_000))
        const id = globalThis.crypto.randomUUID()
        const gate = { request_id: id, agent_id: "clerk", kind: "refund", action_hash: hash, expires_at: soon }
        yield* send("POST", "/api/v1/bridge/gates", { token, body: { ...gate, sdk_version: "0.1.0" } })
        const inbox = yield* send("GET", `/api/v1/workspaces/${workspace}/approvals`, { cookie })
        assert.deepInclude((inbox.body as ReadonlyArray<object>)[0], { request_id: id, status: "pending" })
        const path = `/api/v1/workspaces/${workspace}/workflows/${workflow}/approvals/${id}/decision`
        const other = yield* send("POST", path, { cookie, body: { decision: "granted", action_hash: "b".repeat(64) } })
        assert.strictEqual(other.status, 409)
        const granted = yield* send("POST", path, { cookie, body: { decision: "granted", action_hash: hash } })
        assert.strictEqual(granted.status, 200)
        assert.deepInclude(granted.body as object, { status: "granted", resolved_in: "inbox", decided_by: email })
        assert.strictEqual(
          (yield* send("POST", path, { cookie, body: { decision: "denied", action_hash: hash } })).status,
          409
        )
        const told = yield* send("GET", `/api/v1/bridge/gates/${id}/resolution`, { token })
        assert.deepInclude(told.body as object, { status: "granted", decided_by: email, action_hash: hash })
        assert.deepStrictEqual((yield* send("GET", `/api/v1/workspaces/${workspace}/approvals`, { cookie })).body, [])
        yield* send("POST", `/api/v1/bridge/gates/${id}/resolution`, {
          token,
          body: { status: "denied", resolved_at: soon }
        })
        const all = yield* send("GET", `/api/v1/workspaces/${workspace}/approvals?state=all`, { cookie })
        assert.deepInclude((all.body as ReadonlyArray<object>)[0], { status: "denied", resolved_in: "sdk" })
      })
  )

  it.effect("find no inbox where the tier has none (PLT-08, OQ-29)", () =>
    Effect.gen(function* () {
      const { workspace } = yield* tenant("free")
      const { cookie } = yield* person(workspace, "admin")
      const answer = yield* send("GET", `/api/v1/workspaces/${workspace}/approvals`, { cookie })
      assert.strictEqual(answer.status, 402)
      assert.deepInclude(answer.body as object, { error: "tier_not_entitled" })
    })
  )
})
