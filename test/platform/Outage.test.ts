import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as Database from "../../src/layers/postgres/Database.ts"
import { send, unreachablePlatform } from "./Serving.ts"

/** Nothing listens on port 1. */
const nowhere = Database.layerFromUrl(Redacted.make("postgres://canary-user@127.0.0.1:1/canary-database"))

layer(unreachablePlatform(nowhere.pipe(Layer.orDie)), { excludeTestServices: true, timeout: "60 seconds" })(
  "The platform without its database",
  (it) => {
    it.effect("acknowledges nothing, says 503 and not why, and goes on answering (P-07, ERR-16)", () =>
      Effect.gen(function* () {
        const token = `wf_${"x".repeat(43)}`
        const cookie = `governance_platform=ss_${"x".repeat(43)}`
        const event = {
          seq: 1,
          event_id: globalThis.crypto.randomUUID(),
          event_type: "t",
          agent_id: "a",
          session_id: null,
          created_at: "2026-01-01T00:00:00.000Z",
          metadata: {},
          sdk_version: "0.1.0"
        }
        const answers = [
          yield* send("GET", "/health"),
          yield* send("POST", "/api/v1/ingest/events", { token, body: event }),
          yield* send("GET", "/api/v1/me", { cookie }),
          yield* send("POST", "/api/v1/sign-in/links", { body: { email: "ann@example.org" } })
        ]
        for (const { body, headers, status } of answers) {
          assert.deepStrictEqual([status, body], [503, { error: "unavailable" }])
          assert.notInclude(JSON.stringify(headers), "canary")
          assert.match(String(headers["retry-after"]), /^[1-8]$/)
        }
        assert.strictEqual((yield* send("GET", "/api/v1/data-residency")).status, 200)
      })
    )
  }
)
