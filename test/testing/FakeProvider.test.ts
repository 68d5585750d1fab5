import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import OpenAI from "openai"
import { FakeProvider } from "../../src/testing/FakeProvider.ts"

const messages = [{ role: "user" as const, content: "Hello?" }]
const openAi = (provider: FakeProvider, over: object = {}) =>
  new OpenAI({ apiKey: "none", baseURL: provider.openAiUrl, maxRetries: 0, ...over })
const anthropic = (provider: FakeProvider, over: object = {}) =>
  new Anthropic({ apiKey: "none", baseURL: provider.url, maxRetries: 0, ...over })
const usage = { input: 100, output: 40, cacheRead: 30, cacheWrite: 20, reasoning: 5 }

const collect = async <A>(stream: AsyncIterable<A>): Promise<Array<A>> => {
  const all: Array<A> = []
  for await (const one of stream) all.push(one)
  return all
}

describe("the fake provider, through OpenAI's client", () => {
  it("answers chat with text, tool calls and the usage it was told, and records the request", async () => {
    await using provider = await FakeProvider.start()
    provider.next({ text: "Hi.", toolCalls: [{ name: "refund", arguments: { amount: "999.99" } }], usage })
    const answer = await openAi(provider).chat.completions.create({ model: "gpt-5.5", messages })
    const choice = answer.choices[0]!
    assert.strictEqual(choice.finish_reason, "tool_calls")
    assert.deepInclude(choice.message.tool_calls?.[0], {
      function: { name: "refund", arguments: '{"amount":"999.99"}' }
    })
    assert.strictEqual(answer.usage?.prompt_tokens, 150)
    assert.strictEqual(answer.usage?.prompt_tokens_details?.cached_tokens, 30)
    assert.strictEqual(answer.usage?.completion_tokens_details?.reasoning_tokens, 5)
    const request = provider.requests[0]!
    assert.strictEqual(`${request.method} ${request.path}`, "POST /v1/chat/completions")
    assert.strictEqual(request.headers.authorization, "Bearer none")
    assert.deepStrictEqual(request.body.messages, messages)
    assert.deepInclude(request, { known: true, state: "answered", sent: 1 })
  })

  it("streams chat in as many pieces as it was told, with usage only when the request asks for it", async () => {
    await using provider = await FakeProvider.start({ text: "one two three", chunks: 3, usage })
    const client = openAi(provider)
    const create = (over: object) =>
      client.chat.completions.create({ model: "gpt-5.5", messages, stream: true, ...over }).then(collect)
    const plain = await create({})
    assert.isTrue(plain.every((chunk) => chunk.choices.length === 1 && chunk.usage === undefined))
    assert.lengthOf(
      plain.filter((chunk) => (chunk.choices[0]?.delta.content ?? "") !== ""),
      3
    )
    const asked = await create({ stream_options: { include_usage: true } })
    assert.deepStrictEqual(asked.at(-1)?.choices, [])
    assert.strictEqual(asked.at(-1)?.usage?.total_tokens, 190)
    provider.next({ usage: null })
    assert.isTrue((await create({ stream_options: { include_usage: true } })).every((chunk) => chunk.usage == null))
  })

  it("streams tool calls in pieces that the client puts together again, however the bytes are cut", async () => {
    await using provider = await FakeProvider.start({
      toolCalls: [
        { name: "refund", arguments: { order: "Ä-1", amount: "1000.00" } },
        { name: "look", arguments: "{broken" }
      ],
      bytesPerWrite: 7
    })
    const done = await openAi(provider).chat.completions.stream({ model: "gpt-5.5", messages }).finalChatCompletion()
    const calls = done.choices[0]!.message.tool_calls!
    assert.deepStrictEqual(
      calls.map((call) => (call.type === "function" ? call.function.arguments : "")),
      ['{"order":"Ä-1","amount":"1000.00"}', "{broken"]
    )
  })

  it("answers the Responses API, as JSON and as typed events with usage at the end", async () => {
    await using provider = await FakeProvider.start({ text: "Hi there.", usage })
    const client = openAi(provider)
    const answer = await client.responses.create({ model: "gpt-5.5", input: "Hello?" })
    assert.strictEqual(answer.output_text, "Hi there.")
    assert.strictEqual(answer.usage?.input_tokens_details.cached_tokens, 30)
    provider.next({ text: "Hi.", toolCalls: [{ name: "refund", arguments: { amount: 1 } }], usage })
    const final = await client.responses.stream({ model: "gpt-5.5", input: "Hello?" }).finalResponse()
    assert.strictEqual(final.output_text, "Hi.")
    assert.deepInclude(final.output[1], { type: "function_call", name: "refund", arguments: '{"amount":1}' })
    assert.strictEqual(final.usage?.output_tokens, 40)
    provider.next({ text: "far too long for that" })
    const cut = await client.responses.create({ model: "gpt-5.5", input: "Hello?", max_output_tokens: 2 })
    assert.deepInclude(cut, { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })
  })

  it("works in the background: no usage before the response is retrieved finished", async () => {
    await using provider = await FakeProvider.start({ pendingPolls: 1, usage })
    const client = openAi(provider)
    const begun = await client.responses.create({ model: "gpt-5.5", input: "Hello?", background: true })
    assert.deepStrictEqual([begun.status, begun.usage], ["queued", null])
    const working = await client.responses.retrieve(begun.id)
    assert.deepStrictEqual([working.status, working.usage], ["in_progress", null])
    const done = await client.responses.retrieve(begun.id)
    assert.strictEqual(done.status, "completed")
    assert.strictEqual(done.usage?.output_tokens, 40)
  })

  it("answers completions, embeddings, models, batches and Azure's path, and 404 for anything else, recorded too", async () => {
    await using provider = await FakeProvider.start({ text: "Hi." })
    const client = openAi(provider)
    const completion = await client.completions.create({ model: "gpt-3.5-turbo-instruct", prompt: "Hello?" })
    assert.strictEqual(completion.choices[0]?.text, "Hi.")
    const embedded = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] })
    assert.deepStrictEqual(
      embedded.data.map(({ embedding }) => embedding),
      [
        [0.25, -0.5, 1],
        [0.25, -0.5, 1]
      ]
    )
    assert.strictEqual((await client.models.list()).data[0]?.id, "fake-model")
    await client.batches.create({ completion_window: "24h", endpoint: "/v1/chat/completions", input_file_id: "f" })
    assert.lengthOf(provider.hits("/v1/batches"), 1)
    const azure = new OpenAI({ apiKey: "none", baseURL: `${provider.url}/openai/deployments/d`, maxRetries: 0 })
    assert.strictEqual(
      (await azure.chat.completions.create({ model: "d", messages })).choices[0]?.message.content,
      "Hi."
    )
    const lost = await client.get("/lost").catch((error: unknown) => error)
    assert.instanceOf(lost, OpenAI.NotFoundError)
    assert.deepInclude(provider.requests.at(-1), { path: "/v1/lost", known: false })
  })

  it("keeps to max_tokens unless its script says not to", async () => {
    await using provider = await FakeProvider.start({ text: "a".repeat(400) })
    const create = () =>
      openAi(provider).chat.completions.create({ model: "gpt-5.5", messages, max_completion_tokens: 10 })
    const kept = await create()
    assert.deepStrictEqual([kept.choices[0]?.finish_reason, kept.usage?.completion_tokens], ["length", 10])
    provider.next({ text: "a".repeat(400), ignoreMaxTokens: true })
    const broken = await create()
    assert.deepStrictEqual([broken.choices[0]?.finish_reason, broken.usage?.completion_tokens], ["stop", 100])
  })

  it("fails as it was told: 503, 429 with Retry-After, 400, text that is no JSON, a dead socket", async () => {
    await using provider = await FakeProvider.start()
    const create = (over: object = {}) =>
      openAi(provider, over)
        .chat.completions.create({ model: "gpt-5.5", messages })
        .catch((error: unknown) => error)
    provider.next({ status: 503 }, { status: 503 }, { text: "at last" })
    assert.property(await create({ maxRetries: 2 }), "choices")
    assert.lengthOf(provider.requests, 3)
    provider.next({ status: 429, retryAfter: 7 }, { status: 400, errorMessage: "no" }, { malformed: true })
    const limited = await create()
    assert.instanceOf(limited, OpenAI.RateLimitError)
    assert.strictEqual(limited.headers?.get("retry-after"), "7")
    assert.match(String(await create()), /400 no/)
    assert.instanceOf(await create(), Error)
    provider.next({ dieAfterChunks: 0 }, { dieAfterChunks: 1 })
    assert.instanceOf(await create(), OpenAI.APIConnectionError)
    assert.instanceOf(await create(), Error)
    assert.strictEqual(provider.requests.at(-1)?.state, "cut by script")
  })

  it("dies after so many events of a stream, and the client has had exactly those", async () => {
    await using provider = await FakeProvider.start({ text: "abcdefgh", chunks: 8, dieAfterChunks: 3 })
    const stream = await openAi(provider).chat.completions.create({ model: "gpt-5.5", messages, stream: true })
    const seen: Array<unknown> = []
    const end = await (async () => {
      for await (const chunk of stream) seen.push(chunk)
    })().catch((error: unknown) => error)
    assert.instanceOf(end, Error)
    assert.lengthOf(seen, 3)
    const rejected = await provider.closed(0).catch((error: unknown) => error)
    assert.match(String(rejected), /cut by script/)
  })

  it("knows when the client cut the socket, and stops sending", async () => {
    await using provider = await FakeProvider.start({ text: "abcdefgh", chunks: 8, delayMs: 20 })
    const stream = await openAi(provider).chat.completions.create({ model: "gpt-5.5", messages, stream: true })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === "b") break
    const ms = await provider.closed(0)
    assert.isAtLeast(ms, 39)
    assert.strictEqual(provider.requests[0]?.state, "cut by client")
    assert.isBelow(provider.requests[0]?.sent ?? 99, 10)
  })

  it("hangs until the client gives up, and ends with its scope even then", async () => {
    await using provider = await FakeProvider.start({ hang: true })
    const failed = await openAi(provider, { timeout: 400 })
      .chat.completions.create({ model: "gpt-5.5", messages })
      .catch((error: unknown) => error)
    assert.instanceOf(failed, OpenAI.APIConnectionTimeoutError)
    assert.isAtLeast(await provider.closed(0), 1)
    provider.next({ hang: 2 })
    const open = await openAi(provider).chat.completions.create({ model: "gpt-5.5", messages, stream: true })
    await open[Symbol.asyncIterator]().next()
    assert.strictEqual((await provider.arrived(2)).state, "open")
    await provider.close()
  })

  it("lets a function answer by what was asked", async () => {
    await using provider = await FakeProvider.start(({ body }) => ({ text: `You asked ${body.model}.` }))
    const answer = await openAi(provider).chat.completions.create({ model: "gpt-5.5", messages })
    assert.strictEqual(answer.choices[0]?.message.content, "You asked gpt-5.5.")
  })
})

describe("the fake provider, through Anthropic's client", () => {
  const ask = { model: "claude-sonnet-4-6", max_tokens: 100, messages }

  it("answers messages with tool calls and usage that leaves the caches out of the input", async () => {
    await using provider = await FakeProvider.start()
    provider.next({ text: "Hi.", toolCalls: [{ name: "refund", arguments: { amount: "1000.00" } }], usage })
    const answer = await anthropic(provider).messages.create(ask)
    assert.strictEqual(answer.stop_reason, "tool_use")
    assert.deepInclude(answer.content[1], { type: "tool_use", name: "refund", input: { amount: "1000.00" } })
    assert.deepInclude(answer.usage, {
      input_tokens: 100,
      output_tokens: 40,
      cache_read_input_tokens: 30,
      cache_creation_input_tokens: 20
    })
    assert.strictEqual(provider.requests[0]?.path, "/v1/messages")
  })

  it("streams with a cumulative count of the output, not with parts of it", async () => {
    await using provider = await FakeProvider.start({
      text: "Hello there.",
      toolCalls: [{ name: "refund", arguments: { amount: "1000.00" } }],
      usage,
      usageDeltas: 2
    })
    const events = await collect(await anthropic(provider).messages.create({ ...ask, stream: true }))
    assert.strictEqual(events[0]?.type === "message_start" && events[0].message.usage.output_tokens, 1)
    assert.deepStrictEqual(
      events.flatMap((event) => (event.type === "message_delta" ? [event.usage.output_tokens] : [])),
      [20, 40]
    )
    const final = await anthropic(provider).messages.stream(ask).finalMessage()
    assert.deepInclude(final.content[1], { type: "tool_use", input: { amount: "1000.00" } })
    assert.deepStrictEqual([final.usage.input_tokens, final.usage.output_tokens], [100, 40])
  })

  it("counts tokens, takes batches, keeps to max_tokens, and fails in Anthropic's words", async () => {
    await using provider = await FakeProvider.start({ text: "a".repeat(800), usage: { input: 12, output: 200 } })
    const client = anthropic(provider)
    assert.strictEqual((await client.messages.countTokens({ model: ask.model, messages })).input_tokens, 12)
    await client.messages.batches.create({ requests: [{ custom_id: "1", params: ask }] })
    assert.lengthOf(provider.hits("/v1/messages/batches"), 1)
    const kept = await client.messages.create(ask)
    assert.deepStrictEqual([kept.stop_reason, kept.usage.output_tokens], ["max_tokens", 100])
    provider.next({ status: 429, retryAfter: 1 })
    const limited = await client.messages.create(ask).catch((error: unknown) => error)
    assert.instanceOf(limited, Anthropic.RateLimitError)
    assert.match(limited.message, /rate_limit_error/)
  })

  it("knows when an abort cut the socket", async () => {
    await using provider = await FakeProvider.start({ text: "abcdefgh", chunks: 8, delayMs: 20 })
    const abort = new AbortController()
    const stream = await anthropic(provider).messages.create({ ...ask, stream: true }, { signal: abort.signal })
    setTimeout(() => abort.abort(), 50)
    await collect(stream).catch(() => {})
    assert.isAtLeast(await provider.closed(0), 20)
  })
})
