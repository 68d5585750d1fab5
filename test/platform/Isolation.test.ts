import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { person, platform, send, tenant } from "./Serving.ts"

interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "DELETE"
  readonly path: string
}

/** Every operation that the server says it has. */
const operations = Effect.map(send("GET", "/openapi.json"), ({ body }) =>
  Object.entries((body as { paths: Record<string, object> }).paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): Operation => ({ method: method.toUpperCase() as Operation["method"], path }))
  )
)

const hash = "a".repeat(64)
const moment = "2030-01-01T00:00:00.000Z"
const bodies: Record<string, unknown> = {
  "/workflows": { name: "theirs" },
  "/decision": { decision: "granted", action_hash: hash },
  "/members/{email}": { role: "admin" },
  "/resolution": { status: "granted", resolved_at: moment }
}
const bodyOf = ({ method, path }: Operation) =>
  method === "GET" || method === "DELETE" ? undefined : Object.entries(bodies).find(([end]) => path.endsWith(end))?.[1]

layer(platform, { excludeTestServices: true, timeout: "120 seconds" })("Tenants of a platform", (it) => {
  it.effect("reach nothing of each other: every operation, with the other's ids (P-09, P-11, P-03)", () =>
    Effect.gen(function* () {
      const [own, other] = [yield* tenant(), yield* tenant()]
      const admin = yield* person(own.workspace, "admin")
      const theirs = yield* person(other.workspace, "viewer")
      const request = globalThis.crypto.randomUUID()
      const gate = { request_id: request, agent_id: "canary-agent", kind: "canary-kind", action_hash: hash }
      const forwarded = { ...gate, expires_at: moment, sdk_version: "0.1.0" }
      assert.strictEqual(
        (yield* send("POST", "/api/v1/bridge/gates", { token: other.token, body: forwarded })).status,
        200
      )
      const event = {
        seq: 1,
        event_id: globalThis.crypto.randomUUID(),
        event_type: "canary.type",
        agent_id: "canary-agent",
        session_id: null,
        created_at: moment,
        metadata: { note: "canary" },
        sdk_version: "0.1.0"
      }
      assert.strictEqual(
        (yield* send("POST", "/api/v1/ingest/events", { token: other.token, body: event })).status,
        200
      )

      const filled = (path: string, workspace: string) =>
        path
          .replace("{workspace}", workspace)
          .replace("{workflow}", other.workflow)
          .replace("{token}", other.tokenId)
          .replace("{email}", theirs.email)
          .replace(/\{(?:id|request)\}/, request)
      let tried = 0
      for (const operation of yield* operations) {
        if (!operation.path.includes("{")) continue
        const credentials = operation.path.includes("/bridge/") ? { token: own.token } : { cookie: admin.cookie }
        const sent = { ...credentials, body: bodyOf(operation) }
        // In the other's workspace there is nothing at all; in one's own the other's ids name nothing.
        const foreign = yield* send(operation.method, filled(operation.path, other.workspace), sent)
        assert.deepStrictEqual([foreign.status, foreign.body], [404, { error: "not_found" }], operation.path)
        if (operation.path.includes("{workspace}")) {
          const mixed = yield* send(operation.method, filled(operation.path, own.workspace), sent)
          assert.notInclude(JSON.stringify(mixed.body), "canary", operation.path)
          if (/\{(?:workflow|token|request)\}/.test(operation.path)) {
            assert.deepStrictEqual([mixed.status, mixed.body], [404, { error: "not_found" }], operation.path)
          }
        }
        tried++
      }
      assert.isAtLeast(tried, 13)
      // Nothing of the other has changed.
      const kept = yield* send("GET", `/api/v1/bridge/gates/${request}/resolution`, { token: other.token })
      assert.deepInclude(kept.body as object, { status: "pending" })
      assert.strictEqual((yield* send("GET", "/api/v1/me", { cookie: theirs.cookie })).status, 200)
      assert.strictEqual((yield* send("GET", "/health")).status, 200)
    })
  )

  it.effect("need a token or a session for everything but health, contract, residency and signing in (P-03)", () =>
    Effect.gen(function* () {
      const open = [
        "/health",
        "/api/v1/sign-in/links",
        "/api/v1/sign-in/sessions",
        "/data-residency",
        "/api/v1/data-residency"
      ]
      for (const { method, path } of yield* operations) {
        if (open.includes(path)) continue
        const answer = yield* send(method, path.replaceAll(/\{[a-z]+\}/g, "x"))
        assert.deepStrictEqual([answer.status, answer.body], [401, { error: "unauthorized" }], path)
      }
    })
  )
})
