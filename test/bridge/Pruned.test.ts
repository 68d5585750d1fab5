import { assert, describe, it, layer } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import * as Bridge from "../../src/bridge/Bridge.ts"
import { Database } from "../../src/layers/postgres/Database.ts"
import * as TenantAsk from "../../src/layers/postgres/TenantAsk.ts"
import { Audit } from "../../src/services/Audit.ts"
import { BridgeStateStore } from "../../src/services/BridgeStateStore.ts"
import { Retention } from "../../src/services/Retention.ts"
import * as Settings from "../../src/services/Settings.ts"
import { platform, tenant } from "../platform/Serving.ts"
import { memory } from "../services/World.ts"
import { customer, until } from "./Customer.ts"
import { type Fault, faultyWay } from "./FaultyWay.ts"
import { doorTo, type Scripted, scripted } from "./Platform.ts"
import { addsUp, platformOptions, stats } from "./World.ts"

const reader = "bridge/default"
const log = (agentId: string, name: string) =>
  Audit.use((audit) => audit.log({ kind: "tool.call", agentId, metadata: { name } }))
const many = (agentId: string, ...names: ReadonlyArray<string>) =>
  Effect.forEach(names, (name) => log(agentId, name), { discard: true })
const prune = Retention.use((retention) =>
  retention.prune({ olderThan: Duration.minutes(1), by: "ann", allowShorter: true })
)
const gaps = Effect.map(
  Audit.use((audit) => audit.getEvents({ kinds: ["bridge.gap"] })),
  (events) => events.map(({ chain, metadata }) => ({ in: `${chain}`, ...(metadata as { readonly why: string }) }))
)
const ofClerk = { in: "agent:clerk", reader, chain: "agent:clerk", fromSeq: 3, toSeq: 5, why: "pruned" }
const ofPorter = { in: "operator", reader, chain: "agent:porter", fromSeq: 2, toSeq: 4, why: "pruned" }

describe("rows that are pruned before the outbox has sent them", () => {
  /** A process of its own over the log of the test. */
  const process = (to: Scripted) =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        Layer.fresh(Bridge.layer).pipe(
          Layer.provide([doorTo(to), Layer.effect(Settings.Settings, Settings.make(platformOptions({ outbox: true })))])
        )
      )
      yield* TestClock.adjust("10 seconds")
      return Effect.provide(stats, context)
    })
  const names = (to: Scripted) => [...to.events.values()].flatMap(({ metadata }) => metadata.name ?? [])

  it.effect(
    "are named by a sealed row, beside what is left or in chain operator where nothing is; then the log goes on (B-21, BEY-12, V8-02)",
    () => {
      const to = scripted()
      return Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* process(to)
            yield* many("clerk", "1", "2")
            yield* many("porter", "1")
            yield* TestClock.adjust("5 seconds")
          })
        )
        assert.sameMembers(names(to), ["1", "2", "1"])
        // While nobody sends, retention takes what is old.
        yield* many("clerk", "lost", "lost", "lost")
        yield* many("porter", "lost", "lost", "lost")
        yield* TestClock.adjust("2 minutes")
        yield* log("clerk", "young")
        assert.deepInclude(yield* prune, { refused: [] })
        const { counted } = yield* Effect.scoped(
          Effect.gen(function* () {
            const one = yield* process(to)
            yield* TestClock.adjust("30 seconds")
            return { counted: yield* one }
          })
        )
        assert.sameDeepMembers(yield* gaps, [ofClerk, ofPorter])
        assert.sameMembers(names(to), ["1", "2", "1", "young"])
        assert.strictEqual(to.types().filter((type) => type === "bridge.gap").length, 2)
        assert.strictEqual(counted.skipped, 6)
        addsUp(counted)
        assert.isTrue(yield* Audit.use((audit) => audit.verifyChain()))
        // The next process finds nothing more to say of it, and goes on in both chains.
        const again = yield* process(to)
        yield* log("porter", "later")
        yield* TestClock.adjust("30 seconds")
        assert.lengthOf(yield* gaps, 2)
        assert.include(names(to), "later")
        assert.strictEqual((yield* again).skipped, 0)
        assert.deepInclude(yield* BridgeStateStore.use((store) => store.open(reader, "unused")), { inFlight: [] })
      }).pipe(Effect.scoped, Effect.provide(memory()))
    }
  )
})

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })(
  "rows that are pruned while the real platform does not answer",
  (it) => {
    it.effect("leave their record there too, and nothing is asked for again (B-21, P-01, V8-02)", () =>
      Effect.gen(function* () {
        const { prefix } = yield* Database
        const ask = yield* TenantAsk.make("test")
        const { address } = yield* HttpServer.HttpServer
        const { token, workflow, workspace } = yield* tenant()
        const script: Array<Fault> = []
        const way = yield* faultyWay("port" in address ? address.port : 0, script)
        yield* Effect.gen(function* () {
          yield* Effect.sleep("1500 millis")
          script.push(...Array.from({ length: 3 }, (): Fault => ({ status: 503 })))
          yield* log("clerk", "first")
          for (let i = 0; way.met.length === 0 && i < 200; i++) yield* Effect.sleep(20)
          // The outbox waits with this page: what is written now it will find gone.
          yield* many("clerk", "lost", "lost")
          yield* many("porter", "lost")
          yield* Effect.sleep(20)
          const { pruned } = yield* Retention.use((retention) =>
            retention.prune({ olderThan: Duration.millis(5), by: "ann", allowShorter: true })
          )
          assert.lengthOf(pruned, 2)
          yield* log("clerk", "young")
          const arrived = Effect.map(
            ask(
              "events",
              `SELECT event_type, metadata::text FROM ${prefix}governance_events WHERE workspace = $1 AND workflow = $2 ORDER BY seq`,
              [workspace, workflow]
            ),
            (rows) => rows.map(([type, metadata]) => [type, JSON.parse(String(metadata)).name])
          )
          const isGap = ([type]: ReadonlyArray<unknown>) => type === "bridge.gap"
          yield* until(
            "both records are there",
            Effect.map(Effect.orDie(arrived), (rows) => rows.filter(isGap).length === 2)
          )
          assert.sameMembers(
            (yield* gaps).map(({ why }) => why),
            ["pruned", "pruned"]
          )
          addsUp(yield* stats)
          const found = yield* arrived
          assert.deepStrictEqual(
            found.filter(([type]) => type === "tool.call").map(([, name]) => name),
            ["first", "young"]
          )
          assert.lengthOf(found.filter(isGap), 2)
          assert.deepInclude(yield* stats, { seqHealed: 0, skipped: 3 })
        }).pipe(Effect.provide(Layer.fresh(customer(way.port, token, { outbox: true })), { local: true }))
      }).pipe(Effect.scoped)
    )
  }
)
