import { assert, describe, it } from "@effect/vitest"
import { isGovernanceError, isHaltError } from "../../src/schema/GovernanceError.ts"
import type { FakeReply } from "../../src/testing/FakeProvider.ts"
import { type ClientWorld, openWorld, rejection, until } from "./ClientWorld.ts"

export interface StreamClient {
  readonly name: string
  /** Starts a stream of at most 200 tokens, or as many as said. */
  readonly open: (
    world: ClientWorld,
    options?: { readonly signal?: AbortSignal; readonly maxTokens?: number }
  ) => AsyncIterable<unknown> | Promise<AsyncIterable<unknown>>
  /** Nano-USD a token. */
  readonly price: { readonly input: number; readonly output: number }
  /** Events that come before the first piece of the text. */
  readonly before: number
  /** Where the client reads by itself, whoever listens. */
  readonly readsItself?: boolean
  /** Where the client itself fails without usage, so that such a stream never gets to its end. */
  readonly needsUsage?: boolean
}

const text = "word ".repeat(60)
const usage = { input: 10, output: 75 }
/** Slow, so that something can happen in the middle. */
const slow: FakeReply = { text, usage, chunkSize: 5, delayMs: 5 }

const drain = async (stream: AsyncIterable<unknown>): Promise<number> => {
  let parts = 0
  for await (const _ of stream) parts++
  return parts
}

/** Reads until the first pieces of the text are there. */
const begin = async (stream: AsyncIterable<unknown>, parts: number) => {
  const reading = stream[Symbol.asyncIterator]()
  for (let i = 0; i < parts; i++) await reading.next()
  return reading
}

/** Every way a stream can end is one settlement of the right amount, and nothing stays held (BEY-07, CST-11, WRP-04, WRP-06). */
export const streamCases = (client: StreamClient) =>
  describe(`A stream of ${client.name}`, () => {
    const exact = usage.input * client.price.input + usage.output * client.price.output

    const settledOnce = async (world: ClientWorld) => {
      const spent = await world.spent()
      await until(async () => (await world.kinds()).length === 2)
      const kinds = await world.kinds()
      assert.strictEqual(kinds[0], "llm.call")
      assert.strictEqual(world.provider.requests.length, 1)
      return spent
    }

    it("that comes to its end costs what the provider reports, and nothing of ours reaches the caller (WRP-04, WRP-05)", async () => {
      await using world = await openWorld({ script: { text, usage } })
      assert.isAbove(await drain(await client.open(world)), 3)
      assert.strictEqual(await settledOnce(world), exact)
    })

    it("that arrives byte by byte is read the same (WRP-04)", async () => {
      await using world = await openWorld({ script: { text: "ä€😀 ".repeat(9), usage, bytesPerWrite: 7 } })
      await drain(await client.open(world))
      assert.strictEqual(await settledOnce(world), exact)
    })

    it("that is left by break costs what was seen of it, and its socket is cut (WRP-04)", async () => {
      await using world = await openWorld({ script: slow })
      let parts = 0
      for await (const _ of await client.open(world)) if (++parts > client.before + 3) break
      await world.provider.closed(0)
      const spent = await settledOnce(world)
      assert.isAbove(spent, 0)
      assert.isBelow(spent, exact)
    })

    it("whose consumer throws costs what was seen of it (WRP-04)", async () => {
      await using world = await openWorld({ script: slow })
      const stream = await client.open(world)
      const thrown = await rejection(
        (async () => {
          for await (const _ of stream) throw new Error("mine")
        })()
      )
      assert.strictEqual((thrown as Error).message, "mine")
      await world.provider.closed(0)
      assert.isBelow(await settledOnce(world), 200 * client.price.output + 1000 * client.price.input)
    })

    it("that the caller aborts costs what was seen of it (WRP-04)", async () => {
      await using world = await openWorld({ script: slow })
      const controller = new AbortController()
      const reading = await begin(await client.open(world, { signal: controller.signal }), client.before + 3)
      controller.abort()
      await world.provider.closed(0)
      const spent = await settledOnce(world)
      assert.isAbove(spent, 0)
      assert.isBelow(spent, exact)
      await reading.return?.()
    })

    it("is cut within half a second when its agent is halted, and says so (BEY-05, PRS-04)", async () => {
      await using world = await openWorld({ script: { ...slow, hang: client.before + 5 } })
      const reading = await begin(await client.open(world), client.before + 2)
      const rest = rejection(
        (async () => {
          while ((await reading.next()).done !== true);
        })()
      )
      const from = performance.now()
      await world.halt()
      const cut = world.provider.closed(0)
      assert.isTrue(isHaltError(await rest))
      await cut
      assert.isBelow(performance.now() - from, 500)
      assert.isAbove(await settledOnce(world), 0)
    })

    it("whose socket dies costs what was seen of it, and fails (CST-11)", async () => {
      await using world = await openWorld({ script: { ...slow, dieAfterChunks: client.before + 6 } })
      await rejection(Promise.resolve(client.open(world)).then(drain))
      const spent = await settledOnce(world)
      assert.isAbove(spent, 0)
      assert.isBelow(spent, exact)
    })

    it("that reports no usage costs all that was held (WRP-06, THR-08)", async () => {
      await using world = await openWorld({ script: { text, usage: null, delayFirstMs: 50 } })
      const stream = Promise.resolve(client.open(world))
      await world.provider.arrived(1)
      const { held } = await world.money()
      assert.isAtLeast(held, 200 * client.price.output)
      if (client.needsUsage === true) {
        await rejection(stream.then(drain))
        const spent = await settledOnce(world)
        assert.isAbove(spent, 0)
        assert.isAtMost(spent, held)
      } else {
        await stream.then(drain)
        assert.strictEqual(await settledOnce(world), held)
      }
    })

    it("that goes on beyond what was declared is cut there, and costs all that was held (BEY-07)", async () => {
      const script = {
        text: "word ".repeat(400),
        usage: { input: 10, output: 500 },
        chunkSize: 5,
        ignoreMaxTokens: true
      }
      await using world = await openWorld({ script: { ...script, delayFirstMs: 50, delayMs: 1 } })
      const stream = Promise.resolve(client.open(world, { maxTokens: 20 }))
      await world.provider.arrived(1)
      const { held } = await world.money()
      const error = await rejection(stream.then(drain))
      assert.isTrue(isGovernanceError(error))
      await world.provider.closed(0)
      assert.strictEqual(await settledOnce(world), held)
    })

    if (client.readsItself === true) {
      it("that nobody listens to is read by the client, and settled at its end (WRP-04)", async () => {
        await using world = await openWorld({ script: { text, usage } })
        await client.open(world)
        await world.provider.arrived(1)
        assert.strictEqual(await settledOnce(world), exact)
      })
    } else {
      it("that nobody reads is given up after a lease, with a warning, and nothing stays held (WRP-04, BEY-01)", async () => {
        await using world = await openWorld({ script: { ...slow, hang: client.before + 5 }, leaseDuration: "1 second" })
        await client.open(world)
        await settledOnce(world)
        assert.strictEqual(world.logged("governance.stream.abandoned_without_reconcile").length, 1)
        await world.provider.closed(0)
      })
    }

    it("that the provider refuses costs nothing (CST-11)", async () => {
      await using world = await openWorld({ script: { status: 400 } })
      await rejection(Promise.resolve(client.open(world)).then(drain))
      assert.strictEqual(await settledOnce(world), 0)
    })
  })
