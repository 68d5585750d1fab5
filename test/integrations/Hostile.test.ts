import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { governedFetch } from "../../src/integrations/GovernedFetch.ts"
import { completions } from "../../src/integrations/OpenAiCompletions.ts"
import { openAi } from "../../src/integrations/OpenAiProvider.ts"
import { Audit } from "../../src/services/Audit.ts"
import { agentId, type ClientWorld, openWorld, rejection, sessionId, until } from "./ClientWorld.ts"

const model = "gpt-4o-mini"
const body = { model, max_completion_tokens: 50, messages: [{ role: "user", content: "How is it?" }] }

interface Answer {
  readonly type?: string
  readonly status?: number
  readonly pieces: ReadonlyArray<string>
  /** The socket stays open after the last piece. */
  readonly hangs?: boolean
}

/** A provider that answers every request with these very bytes. */
const rawProvider = async ({ hangs, pieces, status = 200, type = "application/json" }: Answer) => {
  const seen: Array<string> = []
  let wasCut = false
  const server = createServer((request, response) => {
    let text = ""
    request.on("data", (part) => (text += part))
    request.on("end", () => {
      seen.push(text)
      response.on("close", () => {
        wasCut ||= !response.writableEnded
      })
      response.writeHead(status, type === "" ? {} : { "content-type": type })
      const next = (at: number) => {
        const piece = pieces[at]
        if (piece !== undefined) return void response.write(piece, () => setTimeout(() => next(at + 1), 3))
        if (hangs !== true) response.end()
      }
      next(0)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1/chat/completions`,
    seen,
    wasCut: () => wasCut,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

const send = ({ governance }: ClientWorld, url: string, request: object, provider = openAi) =>
  governedFetch({ governance, agentId, sessionId, provider })(url, { method: "POST", body: JSON.stringify(request) })

/** Nano-USD that a request of this test holds. */
const heldBy = async (request: object) => {
  await using world = await openWorld({ script: { hang: true } })
  const pending = send(world, `${world.provider.openAiUrl}/chat/completions`, request).catch(() => {})
  await world.provider.arrived(1)
  const { held } = await world.money()
  await world.halt()
  await pending
  return held
}

const said = (content: string) => `data: ${JSON.stringify({ model, choices: [{ delta: { content } }] })}\n\n`
const usageEvent = (usage: object) => `data: ${JSON.stringify({ model, choices: [], usage })}\n\n`

describe("A provider that says odd things", () => {
  const odd: ReadonlyArray<readonly [string, object]> = [
    ["negative output", { prompt_tokens: 10, completion_tokens: -7 }],
    ["negative input", { prompt_tokens: -10, completion_tokens: 7 }],
    ["no output", { prompt_tokens: 10 }],
    ["output beyond all numbers", { prompt_tokens: 10, completion_tokens: 1e308 }],
    ["output as text", { prompt_tokens: 10, completion_tokens: "7" }],
    ["half a token", { prompt_tokens: 10, completion_tokens: 0.5 }],
    [
      "more cached than there was",
      { prompt_tokens: 10, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 11 } }
    ]
  ]
  for (const [what, usage] of odd)
    it(`is charged what was held when its usage has ${what} (CST-11, BEY-07)`, async () => {
      await using world = await openWorld()
      await using raw = await rawProvider({ pieces: [JSON.stringify({ model, choices: [], usage })] })
      await (await send(world, raw.url, body)).text()
      assert.strictEqual(await world.spent(), await heldBy(body))
    })

  for (const name of ["", "gpt-nobody-knows", "no such\u0000model"])
    it(`is charged what was held when its reply names the model ${JSON.stringify(name)} (OQ-12)`, async () => {
      await using world = await openWorld()
      const usage = { prompt_tokens: 10, completion_tokens: 7 }
      await using raw = await rawProvider({ pieces: [JSON.stringify({ model: name, choices: [], usage })] })
      await (await send(world, raw.url, body)).text()
      assert.strictEqual(await world.spent(), await heldBy(body))
    })

  it("is billed by the model that it names, and the log has both names (CST-11, AUD-05)", async () => {
    await using world = await openWorld()
    const usage = { prompt_tokens: 10, completion_tokens: 7 }
    await using raw = await rawProvider({ pieces: [JSON.stringify({ model, choices: [], usage })] })
    await (await send(world, raw.url, { ...body, model: "gpt-4o" })).text()
    assert.strictEqual(await world.spent(), 10 * 150 + 7 * 600)
    const rows = await world.run(Audit.use((audit) => audit.traceSessionChain(sessionId)))
    const text = JSON.stringify(rows, (_, value) => (typeof value === "bigint" ? String(value) : value))
    assert.include(text, '"gpt-4o"')
    assert.include(text, '"gpt-4o-mini"')
  })

  it("is charged what was held when it answers 200 with an error (CST-11)", async () => {
    await using world = await openWorld()
    await using raw = await rawProvider({ pieces: ['{"error":{"message":"upstream is down"}}'] })
    assert.include(await (await send(world, raw.url, body)).text(), "upstream")
    assert.strictEqual(await world.spent(), await heldBy(body))
  })

  it("cannot go on for free after the usage that it reported (BEY-07)", async () => {
    await using world = await openWorld()
    const streamed = { ...body, stream: true }
    const pieces = [usageEvent({ prompt_tokens: 1, completion_tokens: 0 }), said("a whole answer"), "data: [DONE]\n\n"]
    await using raw = await rawProvider({ type: "text/event-stream", pieces })
    assert.include(await (await send(world, raw.url, streamed)).text(), "a whole answer")
    assert.strictEqual(await world.spent(), await heldBy(streamed))
  })

  it("cannot go on for free after its last event (BEY-07)", async () => {
    await using world = await openWorld()
    const usage = usageEvent({ prompt_tokens: 1, completion_tokens: 1 })
    const pieces = [said("one"), usage, "data: [DONE]\n\n", said("free"), said("free"), "data: [DONE]\n\n"]
    await using raw = await rawProvider({ type: "text/event-stream", pieces })
    const text = await (await send(world, raw.url, { ...body, stream: true })).text()
    assert.include(text, "one")
    assert.notInclude(text, "free")
    assert.strictEqual(await world.spent(), 150 + 600)
  })

  it("is charged exactly where usage comes beside the last words and not alone (CST-11)", async () => {
    await using world = await openWorld()
    const usage = { prompt_tokens: 10, completion_tokens: 7 }
    const last = `data: ${JSON.stringify({ model, choices: [{ delta: { content: "." } }], usage })}\n\n`
    await using raw = await rawProvider({ type: "text/event-stream", pieces: [said("one"), last, "data: [DONE]\n\n"] })
    await (await send(world, raw.url, { ...body, stream: true })).text()
    assert.strictEqual(await world.spent(), 10 * 150 + 7 * 600)
  })

  for (const type of ["text/plain", ""])
    it(`is cut by a halt though its stream says it is ${type || "nothing at all"} (BEY-05)`, async () => {
      await using world = await openWorld()
      await using raw = await rawProvider({ type, pieces: [said("one")], hangs: true })
      const response = await send(world, raw.url, { ...body, stream: true })
      const reading = rejection(response.text())
      await new Promise((resolve) => setTimeout(resolve, 30))
      await world.halt()
      assert.propertyVal(await reading, "_tag", "AgentHaltedError")
      await until(() => raw.wasCut())
    })
})

describe("A request that hides what it costs", () => {
  it("holds the larger of two maxima, since nobody knows which one the provider takes (CST-05)", async () => {
    const large = await heldBy({ ...body, max_completion_tokens: 5000 })
    assert.isAtLeast(await heldBy({ ...body, max_completion_tokens: 50, max_tokens: 5000 }), large)
  })

  for (const n of ["5", 2.5, -1, [5]])
    it(`holds all that is left when n is ${JSON.stringify(n)} (CST-05)`, async () => {
      assert.strictEqual(await heldBy({ ...body, n }), 10_000_000_000)
    })

  for (const most of [-1, 1.5, "50", {}])
    it(`holds all that is left when the maximum is ${JSON.stringify(most)} (CST-05)`, async () => {
      assert.strictEqual(await heldBy({ ...body, max_completion_tokens: most }), 10_000_000_000)
    })

  it("of the oldest kind holds all that is left where a factor is no number, and sixteen tokens where none is given (CST-05)", () => {
    const maxTokens = (more: object) => completions.request({ model, prompt: "Hi", ...more }).maxTokens
    for (const odd of [{ max_tokens: "5000" }, { n: "9" }, { best_of: [9] }]) assert.isUndefined(maxTokens(odd))
    assert.strictEqual(maxTokens({}), 16)
    assert.strictEqual(maxTokens({ max_tokens: 10, n: 2, best_of: 3 }), 30)
  })

  it("is refused when it asks for a billion answers (CST-05)", async () => {
    await using world = await openWorld()
    for (const n of [1e9, 2 ** 53 - 1]) {
      const error = await rejection(send(world, `${world.provider.openAiUrl}/chat/completions`, { ...body, n }))
      assert.include(["BudgetExceeded", "InvalidInput"], (error as { _tag?: string })._tag)
    }
    assert.lengthOf(world.provider.requests, 0)
    assert.strictEqual(await world.spent(), 0)
  })
})
