import { assert, describe, it } from "@effect/vitest"
import { BackgroundResponses } from "../../../src/integrations/BackgroundResponses.ts"
import { begin } from "../../../src/integrations/LiveCall.ts"
import { responses } from "../../../src/integrations/OpenAiResponses.ts"
import { outgoing } from "../../../src/integrations/Outgoing.ts"
import { agentId, openWorld, rejection, sessionId, until } from "../ClientWorld.ts"
import { clientOf, model, price } from "./Client.ts"

const usage = { input: 10, output: 7 }
const cost = 10 * price.input + 7 * price.output
const body = { model, input: "long work", max_output_tokens: 100, background: true }

describe("A response in the background", () => {
  it("keeps its hold until it is retrieved, and costs what it reports then (CST-11, WRP-06)", async () => {
    await using world = await openWorld({ script: { usage, pendingPolls: 1 }, leaseDuration: "1 second" })
    const client = clientOf(world)
    const { id } = await client.responses.create(body)
    // Longer than a lease: the hold is renewed.
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.isAtLeast((await world.money()).held, 100 * price.output)
    assert.strictEqual((await client.responses.retrieve(id)).status, "in_progress")
    assert.isAbove((await world.money()).held, 0)
    // A clone polls for the client it was made of.
    assert.strictEqual((await client.withOptions({ timeout: 5000 }).responses.retrieve(id)).status, "completed")
    assert.deepStrictEqual(await world.money(), { spent: cost, held: 0 })
    await client.responses.retrieve(id)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
    assert.strictEqual((await world.money()).spent, cost)
  })

  it("costs all that was held when nobody retrieves it in time (CST-11)", async () => {
    await using world = await openWorld({ script: { usage, pendingPolls: 9 } })
    await clientOf(world, { backgroundPatience: "200 millis" }).responses.create(body)
    const { held } = await world.money()
    assert.isAtLeast(held, 100 * price.output)
    assert.strictEqual(await world.spent(), held)
    assert.strictEqual((await world.kinds()).length, 2)
  })

  it("is cancelled at the provider when its agent is halted, and costs what was held (BEY-05)", async () => {
    await using world = await openWorld({ script: { usage, pendingPolls: 9 } })
    const { id } = await clientOf(world).responses.create(body)
    const { held } = await world.money()
    await world.halt()
    await until(() => world.provider.hits(`/responses/${id}/cancel`).length === 1)
    assert.strictEqual(await world.spent(), held)
  })

  it("is settled by a stream that picks it up again (CST-11)", async () => {
    await using world = await openWorld()
    const background = new BackgroundResponses(60_000, () => {})
    const live = await begin({ host: world.governance, call: { agentId, sessionId, model, maxTokens: 100 } })
    const call = { live, wire: responses, body, text: JSON.stringify(body), hidesUsage: false }
    await background.adopt(call).live.settle({ _tag: "Completed", result: { id: "resp_1", status: "queued" } })
    const get = outgoing("http://127.0.0.1/v1/responses/resp_1?stream=true", { method: "GET" })
    const stream = (...events: ReadonlyArray<object>) =>
      new Response(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""), {
        headers: { "content-type": "text/event-stream" }
      })
    const delta = { type: "response.output_text.delta", delta: "word ".repeat(4000) }
    await (await background.observed(get, stream(delta))).text()
    assert.isAbove((await world.money()).held, 0)
    const reported = { model, usage: { input_tokens: 10, output_tokens: 7 } }
    await (await background.observed(get, stream(delta, { type: "response.completed", response: reported }))).text()
    assert.deepStrictEqual(await world.money(), { spent: cost, held: 0 })
  })

  it("whose stream breaks off goes on, and is settled by patience (CST-11)", async () => {
    await using world = await openWorld({ script: { usage, delayMs: 5, text: "word ".repeat(20) } })
    const client = clientOf(world, { backgroundPatience: "300 millis" })
    let events = 0
    for await (const _ of await client.responses.create({ ...body, stream: true })) if (++events === 4) break
    await world.provider.closed(0)
    const { held, spent } = await world.money()
    assert.strictEqual(spent, 0)
    assert.isAbove(held, 0)
    assert.strictEqual(await world.spent(), held)
  })

  it("read to the end of its stream costs what that reports (CST-11)", async () => {
    await using world = await openWorld({ script: { usage } })
    for await (const _ of await clientOf(world).responses.create({ ...body, stream: true }));
    assert.strictEqual(await world.spent(), cost)
  })

  it("that the provider refuses costs nothing (CST-11)", async () => {
    await using world = await openWorld({ script: { status: 400 } })
    await rejection(clientOf(world).responses.create(body))
    assert.strictEqual(await world.spent(), 0)
  })
})
