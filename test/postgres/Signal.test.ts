import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Queue, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as SignalMemory from "../../src/layers/memory/Signal.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as SignalPg from "../../src/layers/postgres/Signal.ts"
import { Signal, type Topic } from "../../src/services/Signal.ts"
import { emptyDatabase, layerSql, TestDatabase } from "../support/database.ts"
import * as SilentProxy from "./SilentProxy.ts"

const signal = (options: SignalPg.SignalOptions = {}) =>
  Layer.unwrap(
    Effect.map(TestDatabase, ({ appUrl }) =>
      SignalPg.layerWith(options).pipe(Layer.provideMerge(Database.layerFromUrl(appUrl)))
    )
  )
const inEmpty = Effect.provide(Layer.provideMerge(signal(), emptyDatabase), { local: true })
const admin = (text: string) =>
  Effect.provide(
    SqlClient.SqlClient.use((sql) => sql.unsafe(text).values),
    layerSql("admin"),
    { local: true }
  )

const heard = (topic: Topic) =>
  Effect.gen(function* () {
    const queue = yield* Queue.unbounded<string>()
    yield* Effect.forkScoped(
      Stream.runForEach((yield* Signal).changes(topic), (payload) => Queue.offer(queue, payload))
    )
    return queue
  })
/** Takes until the payload comes; what came before it is returned. */
const until = (queue: Queue.Dequeue<string>, payload: string) =>
  Effect.gen(function* () {
    const before: Array<string> = []
    for (;;) {
      const next = yield* Queue.take(queue)
      if (next === payload) return before
      before.push(next)
    }
  }).pipe(Effect.timeout("8 seconds"))
const listening = Effect.gen(function* () {
  while (
    (yield* admin(
      "SELECT 1 FROM pg_stat_activity WHERE application_name = 'governance listen' AND query LIKE 'LISTEN%' AND datname = current_database()"
    )).length === 0
  ) {
    yield* Effect.sleep("20 millis")
  }
})

for (const [name, provide] of [
  ["in memory", Effect.provide(SignalMemory.layer, { local: true })],
  ["on Postgres", inEmpty]
] as const) {
  describe(`signal ${name}`, () => {
    it.live("a subscription begins with resync, then gives its topic's payloads in order (BEY-05)", () =>
      Effect.gen(function* () {
        const { publish } = yield* Signal
        const halts = yield* heard("halts")
        const gates = yield* heard("gates")
        if (name === "on Postgres") yield* listening
        else yield* Effect.sleep("20 millis")
        yield* publish("gates", "g1")
        yield* publish("halts", "a:1 ü")
        yield* publish("halts", "2")
        const before = yield* until(halts, "a:1 ü")
        assert.deepStrictEqual(Array.from(new Set(before)), ["resync"])
        assert.strictEqual(yield* Queue.take(halts), "2")
        assert.deepStrictEqual(Array.from(new Set(yield* until(gates, "g1"))), ["resync"])
      }).pipe(
        Effect.scoped,
        provide as (self: Effect.Effect<void, unknown, Signal | TestDatabase>) => Effect.Effect<void, unknown>
      )
    )
  })
}

describe("signal on Postgres", () => {
  it.live("reaches another process (BEY-05)", () =>
    Effect.gen(function* () {
      const halts = yield* heard("halts")
      yield* listening
      yield* Effect.provide(
        Effect.flatMap(Signal, (other) => other.publish("halts", "x")),
        signal(),
        { local: true }
      )
      yield* until(halts, "x")
    }).pipe(Effect.scoped, inEmpty)
  )

  it.live("subscribes again after its backend is killed, with a resync for what was missed (F-03)", () =>
    Effect.gen(function* () {
      const halts = yield* heard("halts")
      yield* listening
      yield* (yield* Signal).publish("halts", "first")
      yield* until(halts, "first")
      yield* admin(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'governance listen' AND datname = current_database()"
      )
      yield* until(halts, "resync")
      yield* (yield* Signal).publish("halts", "second")
      assert.deepStrictEqual(yield* until(halts, "second"), [])
    }).pipe(Effect.scoped, inEmpty)
  )

  it.live("a line that went silent is noticed by its own heartbeat, a healthy one is left alone (F-06)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const proxy = yield* SilentProxy.make(appUrl)
      const layer = SignalPg.layerWith({ heartbeatMs: 100 }).pipe(
        Layer.provide(Database.layerFromUrl(appUrl, { directUrl: proxy.url }))
      )
      yield* Effect.gen(function* () {
        const halts = yield* heard("halts")
        yield* listening
        yield* Effect.sleep("700 millis")
        yield* (yield* Signal).publish("halts", "first")
        assert.isAtMost((yield* until(halts, "first")).length, 2)
        assert.isAbove(yield* proxy.silence, 0)
        yield* (yield* Signal).publish("halts", "never heard")
        yield* until(halts, "resync")
        yield* (yield* Signal).publish("halts", "second")
        yield* until(halts, "second")
      }).pipe(Effect.provide(layer, { local: true }))
    }).pipe(Effect.scoped, Effect.provide(emptyDatabase, { local: true }))
  )

  it.live("publishing never fails, and a payload that is too long becomes a resync (INV-1)", () =>
    Effect.gen(function* () {
      const halts = yield* heard("halts")
      yield* listening
      yield* (yield* Signal).publish("halts", "first")
      yield* until(halts, "first")
      yield* (yield* Signal).publish("halts", "x".repeat(9000))
      yield* until(halts, "resync")
      yield* (yield* Signal).publish("halts", "a\0b")
      yield* (yield* Signal).publish("halts", "after")
      assert.deepStrictEqual(yield* until(halts, "after"), [])
    }).pipe(Effect.scoped, inEmpty)
  )
})
