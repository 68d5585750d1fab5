import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { isHaltError } from "../../../src/schema/GovernanceError.ts"
import type { FakeReply } from "../../../src/testing/FakeProvider.ts"
import {
  exact,
  halt,
  kinds,
  money,
  Provider,
  price,
  requests,
  spent,
  text,
  usage,
  type WorldOptions,
  world
} from "./World.ts"

const slow: FakeReply = { text, usage, chunkSize: 5, delayMs: 5 }
const stream = LanguageModel.streamText({ prompt: "hi" })
const held = 200 * price.output

/** One attempt, one outcome, and no money held. */
const settledOnce = Effect.gen(function* () {
  const cost = yield* spent()
  const rows = yield* kinds().pipe(Effect.repeat({ until: (all) => all.length === 2, times: 1000 }))
  assert.deepStrictEqual(
    rows.map((row) => row.split(" ")[0]),
    ["llm.call", "llm.result"]
  )
  assert.strictEqual(yield* requests, 1)
  return cost
})

const partly = Effect.map(settledOnce, (cost) => {
  assert.isAbove(cost, 0)
  assert.isBelow(cost, exact)
})

const inside = (options: WorldOptions) => Effect.provide(world(options))

describe("A governed stream of effect/ai (BEY-03, BEY-07)", () => {
  it.live("that comes to its end costs what the provider reports (CST-11)", () =>
    Effect.gen(function* () {
      const parts = yield* Stream.runCollect(stream)
      assert.strictEqual(parts.flatMap((part) => (part.type === "text-delta" ? [part.delta] : [])).join(""), text)
      assert.strictEqual(parts.at(-1)?.type, "finish")
      assert.strictEqual(yield* settledOnce, exact)
    }).pipe(inside({ script: { text, usage } }))
  )

  it.live("that is never run costs nothing and asks nobody (WRP-04)", () =>
    Effect.gen(function* () {
      yield* Effect.sync(() => stream)
      assert.strictEqual(yield* requests, 0)
      assert.deepStrictEqual(yield* kinds(), [])
    }).pipe(inside({ script: slow }))
  )

  it.live("of which a few parts are taken costs what was seen, and its socket is cut (WRP-04)", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      yield* Stream.runDrain(Stream.take(stream, 4))
      yield* Effect.promise(() => provider.closed(0))
      yield* partly
    }).pipe(inside({ script: slow }))
  )

  it.live("whose fiber is interrupted costs what was seen, and its socket is cut (WRP-04)", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      let parts = 0
      const fiber = yield* Effect.forkChild(Stream.runForEach(stream, () => Effect.sync(() => parts++)))
      while (parts < 4) yield* Effect.sleep("5 millis")
      yield* Fiber.interrupt(fiber)
      yield* Effect.promise(() => provider.closed(0))
      yield* partly
      assert.include((yield* kinds())[1], "interrupted")
    }).pipe(inside({ script: slow }))
  )

  it.live("whose consumer fails costs what was seen (WRP-04)", () =>
    Effect.gen(function* () {
      let parts = 0
      const error = yield* Effect.flip(
        Stream.runForEach(stream, () => (++parts < 4 ? Effect.void : Effect.fail("mine" as const)))
      )
      assert.strictEqual(error, "mine")
      yield* partly
    }).pipe(inside({ script: slow }))
  )

  it.live("ends with the halt of its agent, its socket cut in under 500 ms (BEY-05)", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      let parts = 0
      const fiber = yield* Effect.forkChild(Effect.flip(Stream.runForEach(stream, () => Effect.sync(() => parts++))))
      while (parts < 4) yield* Effect.sleep("5 millis")
      const from = performance.now()
      yield* halt
      assert.isTrue(isHaltError(yield* Fiber.join(fiber)))
      yield* Effect.promise(() => provider.closed(0))
      assert.isBelow(performance.now() - from, 500)
      yield* partly
      assert.include((yield* kinds())[1], "halted")
    }).pipe(inside({ script: slow }))
  )

  it.live("whose socket dies costs what was seen, before the first part all that was held (F-17, WRP-06)", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      provider.next({ ...slow, dieAfterChunks: 6 })
      yield* Effect.flip(Stream.runDrain(stream))
      yield* partly
      const before = yield* spent()
      provider.next({ ...slow, dieAfterChunks: 0 })
      yield* Effect.flip(Stream.runDrain(stream))
      assert.isAtLeast((yield* spent()) - before, held)
    }).pipe(inside({}))
  )

  it.live("that reports no usage costs what was held (THR-08, WRP-06)", () =>
    Effect.gen(function* () {
      yield* Stream.runDrain(stream)
      assert.isAtLeast(yield* settledOnce, held)
    }).pipe(inside({ script: { text, usage: null } }))
  )

  it.live("that is longer than was declared is cut, and costs all that was held (BEY-07)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Stream.runDrain(stream))
      assert.include(error.message, "more than the 20 tokens")
      assert.isAtLeast(yield* settledOnce, 20 * price.output)
      assert.include((yield* kinds())[1], "failed")
    }).pipe(inside({ script: { ...slow, ignoreMaxTokens: true }, governed: { maxOutputTokens: 20 } }))
  )

  it.live("that nobody reads for a lease's time is given up, and cannot be read on (BEY-01, WRP-04)", () =>
    Effect.gen(function* () {
      const iterator = Stream.toAsyncIterable(yield* provided(stream))[Symbol.asyncIterator]()
      yield* Effect.promise(() => iterator.next())
      assert.isAbove((yield* money()).held, 0)
      yield* Effect.sleep("400 millis")
      yield* partly
      const after = yield* Effect.promise(() => drain(iterator))
      assert.include(after, "nobody has read")
    }).pipe(inside({ script: { text, usage, chunkSize: 5, delayMs: 30 }, leaseDuration: "200 millis" }))
  )
})

const provided = (self: typeof stream) =>
  Effect.map(Effect.context<LanguageModel.LanguageModel>(), (context) => Stream.provideContext(self, context))

const drain = async (iterator: AsyncIterator<unknown>): Promise<string> => {
  try {
    while (!(await iterator.next()).done);
    return "ended"
  } catch (error) {
    return String(error)
  }
}
