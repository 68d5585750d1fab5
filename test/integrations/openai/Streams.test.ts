import { assert, describe, it } from "@effect/vitest"
import { openWorld } from "../ClientWorld.ts"
import { streamCases } from "../StreamCases.ts"
import { clientOf, messages, model, price } from "./Client.ts"

const most = 200

streamCases({
  name: "chat.completions.create",
  price,
  before: 1,
  open: (world, { signal, maxTokens = most } = {}) =>
    clientOf(world).chat.completions.create(
      { model, messages, max_completion_tokens: maxTokens, stream: true },
      { signal }
    )
})

streamCases({
  name: "responses.create",
  price,
  before: 4,
  open: (world, { signal, maxTokens = most } = {}) =>
    clientOf(world).responses.create({ model, input: "How?", max_output_tokens: maxTokens, stream: true }, { signal })
})

streamCases({
  name: "completions.create",
  price,
  before: 0,
  open: (world, { signal, maxTokens = most } = {}) =>
    clientOf(world).completions.create({ model, prompt: "How?", max_tokens: maxTokens, stream: true }, { signal })
})

streamCases({
  name: "chat.completions.stream",
  price,
  before: 1,
  readsItself: true,
  open: (world, { signal, maxTokens = most } = {}) =>
    clientOf(world).chat.completions.stream({ model, messages, max_completion_tokens: maxTokens }, { signal })
})

describe("A stream of OpenAI's", () => {
  const body = { model, messages, max_completion_tokens: most, stream: true } as const
  const usage = { input: 10, output: 7 }

  it("is asked for its usage, whose event stays with us (WRP-05)", async () => {
    await using world = await openWorld({ script: { usage } })
    const chunks = []
    for await (const chunk of await clientOf(world).chat.completions.create(body)) chunks.push(chunk)
    assert.deepStrictEqual(world.provider.requests[0]?.body.stream_options, { include_usage: true })
    assert.isTrue(chunks.every(({ choices }) => choices.length > 0))
  })

  it("keeps the usage that the caller himself asked for (WRP-05)", async () => {
    await using world = await openWorld({ script: { usage } })
    const chunks = []
    const asked = { ...body, stream_options: { include_usage: true } }
    for await (const chunk of await clientOf(world).chat.completions.create(asked)) chunks.push(chunk)
    assert.strictEqual(chunks.at(-1)?.usage?.completion_tokens, 7)
    assert.strictEqual(await world.spent(), 10 * price.input + 7 * price.output)
  })

  it("respects a caller who forbids usage, warns him once, and charges what was held (WRP-05, WRP-06)", async () => {
    await using world = await openWorld({ script: { usage } })
    const client = clientOf(world)
    const forbidden = { ...body, stream_options: { include_usage: false } }
    for (let i = 0; i < 2; i++) for await (const _ of await client.chat.completions.create(forbidden));
    assert.deepStrictEqual(world.provider.requests[1]?.body.stream_options, { include_usage: false })
    assert.strictEqual(world.logged("openai.stream_without_usage").length, 1)
    assert.isAtLeast(await world.spent(), 2 * most * price.output)
  })

  it("may be split with tee, and is settled once (WRP-04)", async () => {
    await using world = await openWorld({ script: { usage } })
    const [one, two] = (await clientOf(world).chat.completions.create(body)).tee()
    for await (const _ of one);
    for await (const _ of two);
    assert.strictEqual(await world.spent(), 10 * price.input + 7 * price.output)
    assert.deepStrictEqual(await world.kinds(), ["llm.call", "llm.result"])
  })

  it("may be taken as its raw response, and is counted while that is read (WRP-04)", async () => {
    await using world = await openWorld({ script: { usage } })
    const response = await clientOf(world).chat.completions.create(body).asResponse()
    assert.include(response.url, "/chat/completions")
    assert.include(await response.text(), "[DONE]")
    assert.strictEqual(await world.spent(), 10 * price.input + 7 * price.output)
    const { data, request_id } = await clientOf(world).chat.completions.create(body).withResponse()
    for await (const _ of data);
    assert.strictEqual(request_id, "req_fake")
  })
})
