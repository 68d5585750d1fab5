import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { IngestStore } from "../../src/services/IngestStore.ts"
import { eventOf } from "./Events.ts"
import { narrowPlatform, send, tenant } from "./Serving.ts"

const path = "/api/v1/ingest/events"
const limited = [429, { error: "rate_limited" }]

layer(narrowPlatform, { excludeTestServices: true, timeout: "60 seconds" })("The platform's limits", (it) => {
  it.effect("count the events of a workflow, batches too, and say when to come again (PLT-03, P-06)", () =>
    Effect.gen(function* () {
      const [own, other] = [yield* tenant(), yield* tenant()]
      const { token, ...place } = own
      yield* send("POST", `${path}/batch`, { token, body: { events: [eventOf(1), eventOf(2)] } })
      assert.strictEqual((yield* send("POST", path, { token, body: eventOf(3) })).status, 200)
      const refused = yield* send("POST", path, { token, body: eventOf(4) })
      assert.deepStrictEqual([refused.status, refused.body], limited)
      const wait = Number(refused.headers["retry-after"])
      assert.isTrue(Number.isInteger(wait) && wait >= 1 && wait <= 68, `${wait}`)
      const all = { before: null, after: null, agent: null, session: null, eventType: null, limit: 10 }
      assert.lengthOf(yield* (yield* IngestStore).timeline(place, all), 3)
      // The neighbour is not made to wait.
      assert.strictEqual((yield* send("POST", path, { token: other.token, body: eventOf(1) })).status, 200)
    })
  )

  it.effect("count polls by token (PLT-04, P-11)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant()
      const poll = send("GET", `/api/v1/bridge/gates/${globalThis.crypto.randomUUID()}/resolution`, { token })
      assert.deepStrictEqual([(yield* poll).status, (yield* poll).status, (yield* poll).status], [404, 404, 429])
    })
  )

  it.effect("count guesses of tokens and sessions by address, and let good ones in all the while (P-03)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant()
      const guess = send("POST", path, { token: `wf_${"x".repeat(43)}`, body: eventOf(1) })
      const answers = yield* Effect.forEach(Array.from({ length: 6 }), () => guess)
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [401, 401, 401, 401, 429, 429]
      )
      assert.deepStrictEqual([answers[5]?.status, answers[5]?.body], limited)
      assert.strictEqual((yield* send("GET", "/api/v1/me")).status, 429)
      assert.strictEqual((yield* send("POST", path, { token, body: eventOf(1) })).status, 200)
    })
  )
})
