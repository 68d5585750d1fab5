import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Bridge from "../../src/bridge/Bridge.ts"
import { AgentId, agentChain, EventId } from "../../src/schema/Ids.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { BridgeStateStore } from "../../src/services/BridgeStateStore.ts"
import * as Settings from "../../src/services/Settings.ts"
import { capture, memory } from "../services/World.ts"
import { doorTo, type Reply, type Scripted, scripted } from "./Platform.ts"
import { addsUp, platformOptions } from "./World.ts"

const outbox = platformOptions({ outbox: true })

/** A process of its own over the log of the test, which ends with the scope; its bridge. */
const process = (platform: Scripted) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      Layer.fresh(Bridge.layer).pipe(
        Layer.provide([doorTo(platform), Layer.effect(Settings.Settings, Settings.make(outbox))])
      )
    )
    yield* TestClock.adjust("2 seconds")
    return Effect.provide(
      Bridge.Bridge.use((bridge) => bridge.stats),
      context
    )
  })
const log = (name: string, agentId = "clerk") =>
  Audit.use((audit) => audit.log({ kind: "tool.call", agentId, metadata: { name } }))
const names = (platform: Scripted) => [...platform.events.values()].map(({ metadata }) => metadata.name)
const seqs = (platform: Scripted) => [...platform.events.values()].map(({ seq }) => seq)
const state = BridgeStateStore.use((store) => store.open("bridge/default", "unused"))
const world = <A, E, R>(self: Effect.Effect<A, E, R>) => self.pipe(Effect.scoped, Effect.provide(memory()))

describe("the outbox", () => {
  it.effect("sends every row from its beginning on, of whatever process, in order by chain (BEY-16, V8-02)", () => {
    const platform = scripted()
    return Effect.gen(function* () {
      yield* log("before")
      const stats = yield* process(platform)
      for (let i = 0; i < 250; i++) yield* log(`${i}`, `agent-${i % 3}`)
      yield* TestClock.adjust("3 seconds")
      assert.lengthOf(names(platform), 250)
      assert.notInclude(names(platform), "before")
      for (let agent = 0; agent < 3; agent++) {
        const own = [...platform.events.values()].filter(({ agent_id }) => agent_id === `agent-${agent}`)
        const order = own.map(({ metadata }) => Number(metadata.name))
        assert.deepStrictEqual(
          order,
          [...order].sort((a, b) => a - b)
        )
      }
      assert.deepStrictEqual(
        seqs(platform),
        Array.from({ length: 250 }, (_, i) => i + 1)
      )
      const counted = yield* stats
      assert.deepInclude(counted, { mode: "outbox", sent: 250, seqHealed: 0, nextSeq: 251 })
      addsUp(counted)
      assert.deepInclude(yield* state, { nextSeq: 251, inFlight: [] })
    }).pipe(world)
  })

  it.effect(
    "a day without the platform loses nothing, and holds a bounded part of the log in memory (B-21, G12)",
    () => {
      let down = true
      const platform = scripted(() => (down ? { status: 503 } : undefined))
      return Effect.gen(function* () {
        const stats = yield* process(platform)
        for (let hour = 0; hour < 24; hour++) {
          for (let i = 0; i < 100; i++) yield* log(`${hour}-${i}`, `agent-${i % 20}`)
          yield* TestClock.adjust("1 hour")
          const { inFlight, queueDepth } = yield* stats
          assert.isAtMost(queueDepth + inFlight, 16 * 100)
        }
        assert.isAtMost(platform.asked.length, 24 * 75 + 20)
        down = false
        yield* TestClock.adjust("2 minutes")
        assert.lengthOf(names(platform), 2400)
        assert.strictEqual((yield* stats).seqHealed, 0)
      }).pipe(world)
    },
    120_000
  )

  const breaks: ReadonlyArray<readonly [what: string, Reply, arrives: boolean]> = [
    ["before the platform had it", "hang", false],
    ["after the platform had it, before the answer", "hang", true]
  ]
  for (const [what, reply, arrives] of breaks) {
    it.effect(
      `a process that dies with rows under way, ${what}, leaves them to the next: none twice, no 409 (V8-01)`,
      () => {
        let broken = false
        const platform: Scripted = scripted((asked) => {
          if (!broken) return undefined
          if (arrives) {
            broken = false
            platform.answer(asked)
            broken = true
          }
          return reply
        })
        return Effect.gen(function* () {
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* process(platform)
              yield* log("first")
              yield* TestClock.adjust("2 seconds")
              broken = true
              for (let i = 0; i < 30; i++) yield* log(`under way ${i}`, `agent-${i % 5}`)
              yield* TestClock.adjust("2 seconds")
              assert.isNotEmpty((yield* state).inFlight)
            })
          )
          broken = false
          // Chains that the next process comes to before those under way: by their order alone the numbers would be others.
          for (let i = 0; i < 30; i++) yield* log(`later ${i}`, `aaa-${i % 5}`)
          const stats = yield* process(platform)
          yield* TestClock.adjust("20 seconds")
          assert.lengthOf(names(platform), 61)
          assert.deepStrictEqual(
            [...seqs(platform)].sort((a, b) => a - b),
            Array.from({ length: 61 }, (_, i) => i + 1)
          )
          assert.lengthOf([...platform.expected.keys()], 1)
          assert.strictEqual((yield* stats).seqHealed, 0)
        }).pipe(world)
      }
    )
  }

  it.effect(
    "what the platform refuses for what it is, is passed over with a record in the log; the rest arrives (B-21)",
    () => {
      const platform = scripted(({ json, path }) => {
        const events = path.endsWith("/batch") ? json.events : [json]
        return events.some(
          ({ metadata }: { readonly metadata: { readonly name?: string } }) => metadata.name === "poison"
        )
          ? { status: 422 }
          : undefined
      })
      return Effect.gen(function* () {
        const stats = yield* process(platform)
        for (const name of ["a", "poison", "b"]) yield* log(name)
        yield* log("c", "other")
        yield* TestClock.adjust("5 seconds")
        assert.sameMembers(
          names(platform).filter((name) => name !== undefined),
          ["a", "b", "c"]
        )
        const gaps = yield* Audit.use((audit) => audit.getEvents({ kinds: ["bridge.gap"] }))
        assert.deepStrictEqual(
          gaps.map(({ agentId, metadata }) => [agentId, metadata]),
          [["clerk", { reader: "bridge/default", chain: "agent:clerk", fromSeq: 2, toSeq: 2, why: "rejected" }]]
        )
        assert.include(platform.types(), "bridge.gap")
        assert.isTrue(yield* Audit.use((audit) => audit.verifyChain()))
        addsUp(yield* stats)
      }).pipe(world)
    }
  )

  it.effect("a platform that refuses everything does not make the log grow for ever (B-21)", () => {
    const platform = scripted(() => ({ status: 400 }))
    return Effect.gen(function* () {
      yield* process(platform)
      for (let i = 0; i < 10; i++) yield* log(`${i}`)
      yield* TestClock.adjust("5 minutes")
      assert.lengthOf(yield* Audit.use((audit) => audit.getEvents({ kinds: ["bridge.gap"] })), 10)
    }).pipe(world)
  })

  it.effect("a wrong path or a missing right is no fault of an event: nothing is passed over (B-21)", () => {
    let wrong = true
    const platform = scripted(() => (wrong ? { status: 404 } : undefined))
    const lines = capture()
    return Effect.gen(function* () {
      yield* Effect.provide(process(platform), lines.layer)
      for (let i = 0; i < 10; i++) yield* log(`${i}`)
      yield* TestClock.adjust("5 minutes")
      assert.lengthOf(lines.named("platform.outbox_waits"), 1)
      wrong = false
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(names(platform), 10)
    }).pipe(world)
  })

  it.effect("what is a month old is passed over, with one record for the range (B-21)", () => {
    const platform = scripted()
    return Effect.gen(function* () {
      yield* process(platform)
      const draft = {
        chain: agentChain(AgentId.make("clerk")),
        agent: AgentId.make("clerk"),
        session: null,
        parent: null
      }
      for (const [i, ageDays] of [40, 35, 31].entries()) {
        yield* AuditStore.use((store) =>
          store.append({
            ...draft,
            id: EventId.make(crypto.randomUUID()),
            atMs: (100 - ageDays) * 86_400_000,
            kind: "old",
            model: null,
            inputHash: null,
            outputHash: null,
            metadataText: `{"name":"old ${i}"}`
          })
        )
      }
      yield* log("new")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(
        names(platform).filter((name) => name !== undefined),
        ["new"]
      )
      const [gap] = yield* Audit.use((audit) => audit.getEvents({ kinds: ["bridge.gap"] }))
      assert.deepInclude(gap?.metadata as object, { fromSeq: 1, toSeq: 3, why: "too_old" })
    }).pipe(world, (self) => Effect.andThen(TestClock.setTime(100 * 86_400_000), self))
  })

  it.effect(
    "with the latch set nothing is sent and nothing passed over: a restart goes on where it was (BRG-08, V8-02)",
    () => {
      let revoked = true
      const platform = scripted(() => (revoked ? { status: 401 } : undefined))
      return Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const stats = yield* process(platform)
            for (let i = 0; i < 20; i++) yield* log(`${i}`)
            yield* TestClock.adjust("10 minutes")
            assert.lengthOf(platform.asked, 1)
            assert.deepInclude(yield* stats, { disabled: true, sent: 0, skipped: 0 })
          })
        )
        revoked = false
        yield* process(platform)
        yield* TestClock.adjust("10 seconds")
        assert.lengthOf(names(platform), 20)
      }).pipe(world)
    }
  )

  it.effect("of several processes one sends, and when it ends another one goes on (BEY-16, INV-4)", () => {
    const platform = scripted()
    return Effect.gen(function* () {
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const all = yield* Effect.forEach([1, 2, 3], () => process(platform))
          for (let i = 0; i < 30; i++) yield* log(`${i}`, `agent-${i % 3}`)
          yield* TestClock.adjust("3 seconds")
          return yield* Effect.forEach(all, (stats) => stats)
        })
      )
      assert.lengthOf(
        first.filter(({ sent }) => sent > 0),
        1
      )
      yield* log("last")
      const stats = yield* process(platform)
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(names(platform), 31)
      assert.deepInclude(yield* stats, { sent: 1, seqHealed: 0 })
    }).pipe(world)
  })
})
