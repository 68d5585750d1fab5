import { assert, describe, it } from "@effect/vitest"
import { Presence } from "../../src/services/Presence.ts"
import type { FakeReply } from "../../src/testing/FakeProvider.ts"
import { random } from "../schema/JsonArbitrary.ts"
import { clientOf as anthropicOf } from "./anthropic/Client.ts"
import { agentId, type ClientWorld, openWorld, until } from "./ClientWorld.ts"
import { clientOf as openAiOf } from "./openai/Client.ts"

/** What can happen to one call: at the provider, on the way, and at the caller. */
interface Fate {
  readonly streams: boolean
  readonly reply: FakeReply
  /** The caller leaves after so many parts, by `break` or by abort. */
  readonly leaves: { readonly after: number; readonly how: "break" | "abort" } | null
  readonly halts: boolean
  readonly maxTokens: number
}

/** The same fate for the same seed. */
const fateOf = (seed: number): Fate => {
  const next = random(seed)
  const upTo = (most: number) => Math.floor(next() * (most + 1))
  const sometimes = <A>(share: number, of: () => A): A | undefined => (next() < share ? of() : undefined)
  const dieAfterChunks = sometimes(0.25, () => upTo(12))
  const bytesPerWrite = sometimes(0.3, () => 1 + upTo(4000))
  return {
    streams: next() < 0.7,
    reply: {
      text: "ä word ".repeat(upTo(120)),
      usage: sometimes(0.75, () => ({ input: upTo(300), output: upTo(300) })) ?? null,
      chunkSize: 1 + upTo(200),
      ...(bytesPerWrite === undefined ? {} : { bytesPerWrite }),
      ...(dieAfterChunks === undefined ? {} : { dieAfterChunks }),
      status: sometimes(0.15, () => (next() < 0.5 ? 400 : 500)) ?? 200,
      malformed: next() < 0.1,
      ignoreMaxTokens: next() < 0.5
    },
    leaves: sometimes(0.4, () => ({ after: upTo(8), how: next() < 0.5 ? "break" : "abort" })) ?? null,
    halts: next() < 0.2,
    maxTokens: 1 + upTo(250)
  }
}

type Call = (world: ClientWorld, fate: Fate, session: string, signal: AbortSignal) => Promise<unknown>

const messages = [{ role: "user" as const, content: "How is it?" }]
const calls: Record<string, { readonly price: { input: number; output: number }; readonly call: Call }> = {
  openai: {
    price: { input: 150, output: 600 },
    call: (world, { maxTokens, streams }, sessionId, signal) =>
      openAiOf(world, { sessionId }, { maxRetries: 0, logLevel: "off" }).chat.completions.create(
        { model: "gpt-4o-mini", messages, max_completion_tokens: maxTokens, stream: streams },
        { signal }
      )
  },
  "openai responses": {
    price: { input: 150, output: 600 },
    call: (world, { maxTokens, streams }, sessionId, signal) =>
      openAiOf(world, { sessionId }, { maxRetries: 0, logLevel: "off" }).responses.create(
        { model: "gpt-4o-mini", input: "How is it?", max_output_tokens: maxTokens, stream: streams },
        { signal }
      )
  },
  anthropic: {
    price: { input: 1000, output: 5000 },
    call: (world, { maxTokens, streams }, sessionId, signal) =>
      anthropicOf(world, { sessionId }, { maxRetries: 0, logLevel: "off" }).messages.create(
        { model: "claude-haiku-4-5", messages, max_tokens: maxTokens, stream: streams },
        { signal }
      )
  }
}

const live = async (world: ClientWorld, fate: Fate, call: Call, session: string, controller: AbortController) => {
  const result = await call(world, fate, session, controller.signal)
  if (!fate.streams) return
  let parts = 0
  // A call that streams gives a stream.
  for await (const _ of result as AsyncIterable<unknown>) {
    if (fate.halts && parts === 2) await world.halt()
    if (fate.leaves === null || parts++ < fate.leaves.after) continue
    if (fate.leaves.how === "break") break
    controller.abort()
  }
}

describe("Whatever happens to a call", () => {
  for (const [name, { call, price }] of Object.entries(calls))
    it(`of ${name}, it is settled once, and for no more than was held unless the provider reports more (BEY-07, CST-11)`, async () => {
      await using world = await openWorld()
      for (let seed = 0; seed < 120; seed++) {
        const fate = fateOf(seed)
        const session = `p${seed}`
        let held = 0
        const controller = new AbortController()
        world.provider.always(async () => {
          held = (await world.money(session)).held
          const { leaves, streams } = fate
          if (!streams && leaves?.how === "abort") setTimeout(() => controller.abort(), leaves.after)
          return fate.reply
        })
        await live(world, fate, call, session, controller).catch(() => {})
        await world.run(Presence.use((presence) => presence.resume(agentId, { by: "ada" })))
        const spent = await world.spent(session)
        await until(async () => (await world.kinds(session)).length === 2)
        const { dieAfterChunks, status, usage } = fate.reply
        const isWhole = dieAfterChunks === undefined && fate.leaves === null && !fate.halts
        // Of what broke off the provider may have reported the input alone; its output is then taken for the declared at most.
        const output = isWhole ? (usage?.output ?? 0) : Math.max(usage?.output ?? 0, fate.maxTokens)
        const said = usage == null ? 0 : usage.input * price.input + output * price.output
        const label = `seed ${seed}: ${JSON.stringify(fate)}, held ${held}, spent ${spent}`
        assert.isAtMost(spent, Math.max(held, said), label)
        if (status !== 200 && isWhole) assert.strictEqual(spent, 0, label)
        if (status === 200 && !fate.streams && isWhole && fate.reply.malformed !== true)
          assert.strictEqual(spent, usage == null ? held : exactly(fate, price), label)
      }
    }, 120_000)
})

/** The fake provider cuts its output at what was declared, unless it ignores that. */
const exactly = ({ maxTokens, reply }: Fate, price: { readonly input: number; readonly output: number }) => {
  const { input, output } = reply.usage ?? { input: 0, output: 0 }
  return input * price.input + (reply.ignoreMaxTokens === true ? output : Math.min(output, maxTokens)) * price.output
}
