import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { governed } from "../../src/services/Governor.ts"
import { Presence } from "../../src/services/Presence.ts"
import { capture } from "../services/World.ts"
import { type Reply, scripted } from "./Platform.ts"
import { addsUp, bridged, log, settle, stats, token } from "./World.ts"

describe("the bridge's queue", () => {
  it.effect(
    "an event that is committed here is at the platform at once, with these fields (BRG-05, BRG-11, BRG-19)",
    () => {
      const platform = scripted()
      return Effect.gen(function* () {
        const record = yield* log("tool.call", { tool: "refund" })
        yield* settle
        assert.deepStrictEqual(
          [...platform.events.values()],
          [
            {
              seq: 1,
              event_id: record.id,
              event_type: "tool.call",
              agent_id: "clerk",
              session_id: "today",
              created_at: record.at,
              metadata: { tool: "refund" },
              sdk_version: "0.1.0"
            }
          ]
        )
        assert.strictEqual(platform.asked[0]?.headers.authorization, `Bearer ${token}`)
        const counted = yield* stats
        assert.deepInclude(counted, { enabled: true, mode: "queue", sent: 1, enqueued: 1, nextSeq: 2, disabled: false })
        addsUp(counted)
      }).pipe(Effect.provide(bridged(platform)))
    }
  )

  it.effect("rows that are written inside a transaction are shown too, after its commit (BRG-05, INV-6)", () => {
    const platform = scripted()
    return Effect.gen(function* () {
      yield* (yield* Presence).halt("clerk", { by: "olga@example.org", reason: "stop" })
      yield* settle
      assert.include(platform.types(), "agent.halted")
    }).pipe(Effect.provide(bridged(platform)))
  })

  const rows: ReadonlyArray<readonly [reply: Reply, counter: string, requests: number]> = [
    [{ status: 200 }, "sent", 1],
    [{ status: 204, body: "" }, "sent", 1],
    [{ status: 400 }, "dropped4xx", 1],
    [{ status: 413 }, "dropped4xx", 1],
    [{ status: 409, body: { error: "event_id_conflict" } }, "dropped4xx", 1],
    [{ status: 500 }, "dropped5xx", 1],
    [{ status: 503, retryAfter: "30" }, "dropped5xx", 1],
    [{ status: 301 }, "dropped5xx", 1],
    [{ status: 307 }, "dropped5xx", 1],
    ["cut", "dropped5xx", 1],
    ["hang", "dropped5xx", 1],
    [{ status: 401 }, "droppedDisabled", 1],
    [{ status: 402 }, "droppedDisabled", 1],
    [{ status: 429 }, "dropped429", 5],
    [{ status: 409, body: { error: "seq_out_of_order", expected_seq: 9 } }, "droppedSeqConflict", 2]
  ]
  for (const [reply, counter, requests] of rows) {
    const what = typeof reply === "string" ? reply : `${reply.status} ${JSON.stringify(reply.body ?? "")}`
    it.effect(`${what} is counted as ${counter}, after ${requests} request(s) (BRG-07, OQ-15)`, () => {
      const platform = scripted(() => reply)
      return Effect.gen(function* () {
        yield* log("tool.call")
        yield* TestClock.adjust("10 minutes")
        assert.lengthOf(platform.asked, requests)
        const counted = yield* stats
        assert.deepInclude(counted, { [counter]: 1, enqueued: 1, queueDepth: 0, inFlight: 0 })
        addsUp(counted)
      }).pipe(Effect.provide(bridged(platform)))
    })
  }

  it.effect(
    "429 is asked again after 1, 2, 4, 8 seconds or so, and later where Retry-After says so, up to five minutes (OQ-16, B-18)",
    () => {
      const times: Array<number> = []
      const platform = scripted((_, nth) =>
        nth === 1 ? { status: 429 } : nth === 2 ? { status: 429, retryAfter: "1000000000" } : undefined
      )
      return Effect.gen(function* () {
        yield* log("tool.call")
        yield* settle
        for (let second = 0; second < 400 && platform.asked.length < 3; second++) {
          const before = platform.asked.length
          yield* TestClock.adjust("1 second")
          if (platform.asked.length > before) times.push(second + 1)
        }
        assert.lengthOf(times, 2)
        assert.isAtMost(times[0]!, 2)
        assert.isAtLeast(times[1]! - times[0]!, 299)
        assert.isAtMost(times[1]! - times[0]!, 302)
        assert.deepInclude(yield* stats, { sent: 1, retries429: 2, dropped429: 0 })
      }).pipe(Effect.provide(bridged(platform)))
    }
  )

  it.effect("a sequence that the platform sees otherwise is healed once, and goes on from there (BRG-10)", () => {
    const platform = scripted()
    return Effect.gen(function* () {
      yield* log("a")
      yield* settle
      for (const instance of platform.expected.keys()) platform.expected.set(instance, 40)
      yield* log("b")
      yield* settle
      yield* log("c")
      yield* settle
      assert.deepStrictEqual(
        [...platform.events.values()].map(({ seq }) => seq),
        [1, 40, 41]
      )
      assert.deepInclude(yield* stats, { sent: 3, seqHealed: 1, droppedSeqConflict: 0, nextSeq: 42 })
    }).pipe(Effect.provide(bridged(platform)))
  })

  it.effect(
    "401 and 402 latch for good, with one WARN and the platform's own link; logging goes on (BRG-08, BRG-09, B-18, B-24)",
    () =>
      Effect.gen(function* () {
        const links = [
          ["https://platform.example/upgrade?plan=team", true],
          ["https://www.platform.example/upgrade", true],
          ["https://evil.example/", false],
          ["https://evil-platform.example/", false],
          ["javascript:alert(1)", false],
          ["http://platform.example/upgrade", false],
          ["https://user:pw@platform.example/", false],
          ["https://platform.example/\u001b[31m", true]
        ] as const
        for (const [link, shown] of links) {
          const lines = capture()
          const platform = scripted(() => ({ status: 402, body: { error: "tier_not_entitled", upgrade_url: link } }))
          yield* Effect.gen(function* () {
            for (let i = 0; i < 20; i++) {
              yield* log("tool.call")
              yield* settle
            }
            yield* TestClock.adjust("1 hour")
            yield* log("tool.call")
            yield* settle
            assert.lengthOf(platform.asked, 1)
            const counted = yield* stats
            assert.deepInclude(counted, { disabled: true, disabledReason: "tier_not_entitled", droppedDisabled: 21 })
            addsUp(counted)
            const warned = lines.named("platform.bridge_disabled")
            assert.lengthOf(warned, 1)
            assert.strictEqual(warned[0]?.level, "Warn")
            assert.strictEqual(warned[0]?.message.includes("upgrade_url"), shown, link)
            assert.notInclude(warned[0]?.message, "\u001b")
            assert.lengthOf(yield* (yield* Audit).getEvents({ kinds: ["tool.call"] }), 21)
          }).pipe(Effect.provide(bridged(platform)), Effect.provide(lines.layer))
        }
      })
  )

  it.effect("a queue of n keeps the newest n, counts the others, and warns every 30 s at most (BRG-06, B-26)", () => {
    const platform = scripted(() => "hang")
    const lines = capture()
    return Effect.gen(function* () {
      for (let i = 0; i < 500; i++) yield* log("tool.call", { i })
      yield* settle
      const counted = yield* stats
      addsUp(counted)
      assert.strictEqual(counted.queueDepth, 50)
      assert.strictEqual(counted.enqueued, 500)
      assert.strictEqual(counted.droppedOverflow, counted.enqueued - counted.inFlight - counted.queueDepth)
      assert.isAtLeast(counted.droppedOverflow, 350)
      assert.lengthOf(lines.named("platform.bridge_queue_full"), 1)
      yield* TestClock.adjust("31 seconds")
      for (let i = 0; i < 200; i++) yield* log("tool.call", { i })
      assert.lengthOf(lines.named("platform.bridge_queue_full"), 2)
    }).pipe(Effect.provide(bridged(platform, { platform: { queueSize: 50 } })), Effect.provide(lines.layer))
  })

  it.effect(
    "24 hours without an answer leave a bounded queue, and one request a minute at most after five (B-18, B-21)",
    () => {
      const platform = scripted(() => ({ status: 503 }))
      return Effect.gen(function* () {
        for (let minute = 0; minute < 24 * 60; minute += 5) {
          for (let i = 0; i < 15; i++) yield* log("tool.call")
          yield* TestClock.adjust("5 minutes")
        }
        const counted = yield* stats
        assert.isAtMost(counted.queueDepth, 100)
        assert.isAtMost(platform.asked.length, 24 * 60 + 20)
        assert.isEmpty(platform.events)
        addsUp(counted)
      }).pipe(Effect.provide(bridged(platform, { platform: { queueSize: 100 } })))
    },
    60_000
  )

  it.effect(
    "one event that the platform refuses does not spoil those beside it, and a platform without batches gets single events (BRG-07)",
    () => {
      const platform = scripted(({ json, path }) =>
        path.endsWith("/batch")
          ? json.events.some((event: { event_type: string }) => event.event_type === "poison")
            ? { status: 400 }
            : undefined
          : json.event_type === "poison"
            ? { status: 422 }
            : undefined
      )
      const old = scripted(({ path }) => (path.endsWith("/batch") ? { status: 404 } : undefined))
      const burst = Effect.gen(function* () {
        yield* Effect.forEach(["a", "poison", "b", "c"], (kind) => log(kind), { concurrency: "unbounded" })
        yield* settle
        yield* Effect.forEach(["d", "e"], (kind) => log(kind), { concurrency: "unbounded" })
        yield* settle
        const counted = yield* stats
        addsUp(counted)
        return counted
      })
      return Effect.gen(function* () {
        const counted = yield* Effect.provide(burst, bridged(platform))
        assert.deepInclude(counted, { sent: 5, dropped4xx: 1, droppedSeqConflict: 0, seqHealed: 0 })
        const single = yield* Effect.provide(burst, bridged(old))
        assert.deepInclude(single, { sent: 6, seqHealed: 0 })
        assert.isAtMost(old.paths().filter((path) => path.endsWith("/batch")).length, 1)
      })
    }
  )

  const states: ReadonlyArray<readonly [string, Reply | undefined]> = [
    ["latched", { status: 401 }],
    ["hanging", "hang"],
    ["refusing", { status: 400 }],
    ["failing", { status: 500 }],
    ["cut", "cut"],
    ["well", undefined]
  ]
  for (const [what, reply] of states) {
    it.effect(
      `governed calls, refusals, halts and logging are the same with the bridge ${what} (INV-1, INV-7, BRG-09, B-19)`,
      () => {
        const platform = scripted(() => reply)
        return Effect.gen(function* () {
          yield* (yield* AgentScope).register({ agentId: "clerk", allowedTools: ["look"] })
          const call = (tool: string) =>
            Effect.succeed("done").pipe(governed({ agentId: "clerk", tool, sessionId: "s" }))
          assert.strictEqual(yield* call("look"), "done")
          yield* settle
          assert.strictEqual((yield* Effect.flip(call("delete")))._tag, "ScopeViolation")
          assert.strictEqual(yield* call("look"), "done")
          yield* settle
          yield* (yield* Presence).halt("clerk", { by: "olga@example.org", reason: "stop" })
          assert.strictEqual((yield* Effect.flip(call("look")))._tag, "AgentHaltedError")
          const kinds = (yield* (yield* Audit).getEvents({ sessionId: "s" as never })).map(({ kind }) => kind)
          assert.deepStrictEqual(kinds, [
            "tool.call",
            "tool.result",
            "scope.violation",
            "tool.call",
            "tool.result",
            "call.refused"
          ])
          assert.isTrue(yield* (yield* Audit).verifyChain())
          addsUp(yield* stats)
        }).pipe(Effect.provide(bridged(platform)), Effect.provide(Layer.empty))
      }
    )
  }
})
