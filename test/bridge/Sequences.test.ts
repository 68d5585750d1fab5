import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Bridge from "../../src/bridge/Bridge.ts"
import { Audit } from "../../src/services/Audit.ts"
import * as Settings from "../../src/services/Settings.ts"
import { capture, memory } from "../services/World.ts"
import { doorTo, type Reply, type Scripted, scripted } from "./Platform.ts"
import { addsUp, platformOptions, settle, stats } from "./World.ts"

/** Numbers from 0 to n-1 that a seed repeats. */
const dice = (seed: number) => {
  let state = seed * 2_654_435_761 + 1
  return (n: number) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0
    return (state >>> 8) % n
  }
}

const bodies: ReadonlyArray<unknown> = [
  {},
  "<html>no</html>",
  "",
  '{"__proto__":{"disabled":true}}',
  { error: "seq_out_of_order", expected_seq: 3 },
  { error: "seq_out_of_order", expected_seq: -1 },
  { error: "seq_out_of_order", expected_seq: 1e300 },
  { error: "tier_not_entitled", upgrade_url: "javascript:alert(1)" },
  { status: "granted", reason: "because" },
  "[".repeat(20_000),
  null
]
const statuses = [
  200, 201, 202, 204, 301, 302, 307, 308, 400, 403, 404, 405, 413, 418, 422, 429, 500, 502, 503, 504, 599
]
const delays = [undefined, undefined, "1", "-5", "1e9", "99999999999", "soon", "Thu, 01 Jan 1970 00:02:00 GMT"]
/** Most answers of a sequence are of its mood, or what takes five of a kind in a row would never be seen. */
const moods: ReadonlyArray<Reply | undefined> = [
  undefined,
  undefined,
  "hang",
  "cut",
  { status: 429 },
  { status: 503 },
  { status: 409, body: { error: "seq_out_of_order", expected_seq: 7 } },
  { status: 400 }
]

/** A bridge of its own over the one log of this test. */
const over = (platform: Scripted, queueSize: number) =>
  Layer.fresh(Bridge.layer).pipe(
    Layer.provide([doorTo(platform), Layer.effect(Settings.Settings, Settings.make(platformOptions({ queueSize })))])
  )

describe("whatever the platform answers", () => {
  it.effect(
    "1000 random sequences of 2xx, 3xx, 4xx, 409, 429, 5xx, hangs and cuts: nothing reaches the host, every event is counted once (BRG-07, B-18, B-24)",
    () =>
      Effect.gen(function* () {
        const audit = yield* Audit
        const seen = new Set<string>()
        for (let seed = 1; seed <= 1000; seed++) {
          const roll = dice(seed)
          const latches = seed % 10 === 0
          const platform = scripted((): Reply | undefined => {
            if (latches && roll(8) === 0) return { status: 401 + roll(2), body: bodies[roll(bodies.length)] }
            if (roll(4) !== 0) return moods[seed % moods.length]
            const retryAfter = delays[roll(delays.length)]
            return {
              status: statuses[roll(statuses.length)]!,
              body: bodies[roll(bodies.length)],
              ...(retryAfter === undefined ? {} : { retryAfter })
            }
          })
          const lines = capture()
          yield* Effect.gen(function* () {
            for (let turn = 0; turn < 3; turn++) {
              for (let i = roll(6); i >= 0; i--) {
                const record = yield* audit.log({ kind: "tool.call", agentId: `a${roll(3)}`, metadata: { i } })
                assert.strictEqual(record.status, "stored")
              }
              yield* TestClock.adjust(`${roll(30)} seconds`)
              addsUp(yield* stats)
            }
            for (let minute = 0; minute < 60; minute++) {
              const { inFlight, queueDepth } = yield* stats
              if (inFlight + queueDepth === 0) break
              yield* TestClock.adjust("1 minute")
            }
            yield* settle
            const counted = yield* stats
            addsUp(counted)
            assert.deepInclude(counted, { queueDepth: 0, inFlight: 0 }, `seed ${seed}`)
            assert.isTrue(latches || !counted.disabled)
            for (const [name, value] of Object.entries(counted)) if (value !== 0 && value !== false) seen.add(name)
          }).pipe(Effect.provide(over(platform, 3 + roll(5)), { local: true }), Effect.provide(lines.layer))
          assert.isEmpty(
            lines.lines.filter(({ level }) => level === "Error" || level === "Fatal"),
            `seed ${seed}`
          )
        }
        const sides = [
          "sent",
          "disabled",
          "droppedOverflow",
          "dropped4xx",
          "dropped5xx",
          "dropped429",
          "droppedDisabled"
        ]
        for (const name of [...sides, "retries429", "seqHealed", "droppedSeqConflict"])
          assert.isTrue(seen.has(name), name)
      }).pipe(Effect.provide(memory())),
    240_000
  )
})
