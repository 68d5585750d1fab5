import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { within } from "../../src/integrations/CurrentCall.ts"
import { type GovernedFetchOptions, governedFetch } from "../../src/integrations/GovernedFetch.ts"
import { begin } from "../../src/integrations/LiveCall.ts"
import { openAi } from "../../src/integrations/OpenAiProvider.ts"
import { refusalOf } from "../../src/integrations/RefusalResponse.ts"
import { Audit } from "../../src/services/Audit.ts"
import { agentId, type ClientWorld, openWorld, rejection, sessionId, until } from "./ClientWorld.ts"
import { tagOf } from "./MethodCases.ts"

const model = "gpt-4o-mini"
const price = { input: 150, output: 600 }
const usage = { input: 10, output: 7 }
const cost = 10 * price.input + 7 * price.output
const body = { model, max_completion_tokens: 50, messages: [{ role: "user", content: "How is it?" }] }
const text = JSON.stringify(body)
const streamed = JSON.stringify({ ...body, stream: true })

const fetchOf = ({ governance }: ClientWorld, options: Partial<GovernedFetchOptions> = {}) =>
  governedFetch({ governance, agentId, sessionId, provider: openAi, ...options })

const post = (body: BodyInit, init: RequestInit = {}): RequestInit => ({ method: "POST", body, ...init })

/** A server that answers as the test says. */
const serverOf = async (answer: (request: IncomingMessage, response: ServerResponse) => void) => {
  const server = createServer((request, response) => {
    request.resume().on("end", () => answer(request, response))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1/chat/completions`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

const event = (value: unknown, end = "\n\n") => `data: ${JSON.stringify(value)}${end}`
const said = (content: string) => ({ model, choices: [{ index: 0, delta: { content } }] })
const reported = { model, choices: [], usage: { prompt_tokens: 10, completion_tokens: 7 } }

/** The events of one stream, written in these pieces. */
const streamOf = (pieces: ReadonlyArray<string | Uint8Array>, headers: Record<string, string> = {}) =>
  serverOf((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", ...headers })
    const next = (index: number) => {
      const piece = pieces[index]
      if (piece === undefined) return void response.end()
      response.write(piece, () => setTimeout(() => next(index + 1), 2))
    }
    next(0)
  })

describe("A governed fetch", () => {
  const forms: ReadonlyArray<readonly [string, (url: string) => [RequestInfo | URL, RequestInit?]]> = [
    ["text", (url) => [url, post(text)]],
    ["bytes", (url) => [new URL(url), post(new TextEncoder().encode(text))]],
    ["a buffer", (url) => [url, post(new TextEncoder().encode(text).slice().buffer)]],
    ["a blob", (url) => [url, post(new Blob([text]))]],
    ["a Request", (url) => [new Request(url, post(text))]],
    ["a Request with another body", (url) => [new Request(url, post("{}")), { body: text }]],
    ["a method in lower case", (url) => [url, { method: "post", body: text }]]
  ]
  for (const [form, of] of forms)
    it(`reads a request that comes as ${form} (WRP-02, CST-11)`, async () => {
      await using world = await openWorld({ script: { usage } })
      const response = await fetchOf(world)(...of(`${world.provider.openAiUrl}/chat/completions`))
      assert.strictEqual((await response.json()).object, "chat.completion")
      assert.include(world.provider.requests[0]?.text ?? "", "How is it?")
      assert.strictEqual(await world.spent(), cost)
    })

  it("keeps headers, status and address of what it passes on (WRP-04)", async () => {
    await using world = await openWorld({ script: { usage, headers: { "x-mine": "yes" } } })
    const url = `${world.provider.openAiUrl}/chat/completions`
    const response = await fetchOf(world)(url, post(text, { headers: { authorization: "Bearer x" } }))
    assert.strictEqual(response.url, url)
    assert.strictEqual(response.headers.get("x-mine"), "yes")
    assert.strictEqual(world.provider.requests[0]?.headers.authorization, "Bearer x")
  })

  it("refuses what it cannot read, and what nobody can bound, and sends nothing (THR-05)", async () => {
    await using world = await openWorld()
    const send = fetchOf(world)
    const url = world.provider.openAiUrl
    const form = new FormData()
    form.set("file", new Blob(["x"]))
    const stream = new ReadableStream({ start: (controller) => controller.close() })
    for (const call of [
      () => send(`${url}/chat/completions`, post("no json")),
      () => send(`${url}/chat/completions`, post("[1]")),
      () => send(`${url}/chat/completions`, post("null")),
      () => send(`${url}/chat/completions`, post(form)),
      () => send(`${url}/chat/completions`, { method: "POST" }),
      () => send(`${url}/chat/completions`, { method: "POST", body: stream, duplex: "half" } as RequestInit),
      () => send(`${url}/chat/completions`, { method: "PUT", body: text }),
      () => send(`${url}/chat/completions/`, post(text)),
      () => send(`${url}/audio/transcriptions`, post(form)),
      () => send(`${url}/something/new`, post(text))
    ])
      assert.strictEqual(tagOf(await rejection(call())), "UngovernedCall")
    assert.strictEqual(world.provider.requests.length, 0)
    assert.deepStrictEqual(await world.money(), { spent: 0, held: 0 })
  })

  it("lets through what is allowed by name, says so in the log, and stops for a halt (THR-05, BEY-05)", async () => {
    await using world = await openWorld()
    const send = fetchOf(world, { allow: ["POST /batches"] })
    const batch = () => send(`${world.provider.openAiUrl}/batches`, post("{}"))
    assert.strictEqual((await batch()).status, 200)
    assert.strictEqual(
      tagOf(await rejection(send(`${world.provider.openAiUrl}/images/edits`, post("{}")))),
      "UngovernedCall"
    )
    const rows = await world.run(Audit.use((audit) => audit.traceSessionChain(sessionId)))
    assert.deepStrictEqual(
      rows.map(({ kind, metadata }) => [kind, { ...Object(metadata) }.allowed]),
      [
        ["call.ungoverned", true],
        ["call.ungoverned", false]
      ]
    )
    await world.halt()
    assert.strictEqual(tagOf(await rejection(batch())), "AgentHaltedError")
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("answers a refusal with 403 and no second try where it is told so, and keeps the error (ERR-01)", async () => {
    await using world = await openWorld({ budget: { perSessionUsd: 0 } })
    const send = fetchOf(world, { refusal: "respond" })
    const response = await send(`${world.provider.openAiUrl}/chat/completions`, post(text))
    assert.strictEqual(response.status, 403)
    assert.strictEqual(response.headers.get("x-should-retry"), "false")
    assert.strictEqual((await response.json()).error.code, "BudgetExceeded")
    assert.strictEqual(tagOf(refusalOf(response.headers)), "BudgetExceeded")
    assert.strictEqual(world.provider.requests.length, 0)
  })

  it("joins the call of a wrapper above it: one hold, one settlement by its owner (BEY-01)", async () => {
    await using world = await openWorld({ script: { usage } })
    const { governance } = world
    const call = { agentId, sessionId, model, maxTokens: 50, input: body }
    const live = await begin({ host: governance, call, provider: "openai" })
    const url = `${world.provider.openAiUrl}/chat/completions`
    await within(live, async () => (await fetchOf(world)(url, post(text))).text())
    assert.isAbove((await world.money()).held, 0)
    assert.strictEqual(live.meter.exact?.outputTokens, 7)
    await live.settle({ _tag: "Completed" })
    assert.deepStrictEqual(await world.money(), { spent: cost, held: 0 })
    // What comes after the call is a call of its own, also in the same place.
    await within(live, async () => (await fetchOf(world)(url, post(text))).text())
    assert.strictEqual((await world.kinds()).length, 4)
  })

  it("costs nothing where the provider refuses, and keeps its error body out of the log (CST-11, SEC-01)", async () => {
    const secret = "the prompt was: my password is 1234"
    await using world = await openWorld({ script: { status: 429, errorMessage: secret } })
    const response = await fetchOf(world)(`${world.provider.openAiUrl}/chat/completions`, post(text))
    assert.include(await response.text(), secret)
    assert.deepStrictEqual(await world.money(), { spent: 0, held: 0 })
    const rows = await world.run(Audit.use((audit) => audit.traceSessionChain(sessionId)))
    assert.notInclude(JSON.stringify(rows), "password")
    assert.notInclude(JSON.stringify(world.logged("")), "password")
    assert.notInclude(JSON.stringify(rows), "How is it?")
  })

  it("charges what was held for a reply that is no JSON, or broken JSON, or breaks off (CST-11, WRP-06)", async () => {
    for (const script of [{ malformed: true }, { body: "null" }, { dieAfterChunks: 1 }, { usage: null }]) {
      await using world = await openWorld({ script })
      await fetchOf(world)(`${world.provider.openAiUrl}/chat/completions`, post(text))
        .then((response) => response.text())
        .catch(() => {})
      assert.isAtLeast(await world.spent(), 50 * price.output)
      assert.strictEqual((await world.kinds()).length, 2)
    }
    await using world = await openWorld()
    await using server = await serverOf((_, response) => response.end("plain"))
    assert.strictEqual(await (await fetchOf(world)(server.url, post(text))).text(), "plain")
    assert.isAtLeast(await world.spent(), 50 * price.output)
  })

  it("follows a redirect as fetch does, and counts what is at its end (CST-11)", async () => {
    await using world = await openWorld({ script: { usage } })
    const to = `${world.provider.openAiUrl}/chat/completions`
    await using server = await serverOf((_, response) => response.writeHead(307, { location: to }).end())
    assert.strictEqual((await (await fetchOf(world)(server.url, post(text))).json()).object, "chat.completion")
    assert.strictEqual(await world.spent(), cost)
    assert.strictEqual((await world.kinds()).length, 2)
  })

  it("reads replies and streams that are compressed (CST-11)", async () => {
    const reply = JSON.stringify({ ...reported, choices: [] })
    await using world = await openWorld()
    const gzip = { "content-encoding": "gzip" }
    await using json = await serverOf((_, response) =>
      response.writeHead(200, { "content-type": "application/json; charset=utf-8", ...gzip }).end(gzipSync(reply))
    )
    assert.strictEqual(await (await fetchOf(world)(json.url, post(text))).text(), reply)
    await using sse = await streamOf([gzipSync(`${event(said("hi")) + event(reported)}data: [DONE]\n\n`)], gzip)
    const read = await (await fetchOf(world)(sse.url, post(streamed))).text()
    assert.strictEqual(read, `${event(said("hi"))}data: [DONE]\n\n`)
    assert.strictEqual(await world.spent(), 2 * cost)
  })
})

describe("A stream through a governed fetch", () => {
  const read = async (world: ClientWorld, pieces: ReadonlyArray<string | Uint8Array>) => {
    await using server = await streamOf(pieces)
    const response = await fetchOf(world)(server.url, post(streamed))
    // Awaited here, or the server is gone before the stream is.
    return await response.text()
  }

  it("with line ends of any kind is read and passed on as it came (WRP-04)", async () => {
    for (const end of ["\n\n", "\r\n\r\n", "\r\r"]) {
      await using world = await openWorld()
      const all = `${event(said("hi"), end) + event(reported, end)}data: [DONE]${end}`
      assert.strictEqual(await read(world, [all]), `${event(said("hi"), end)}data: [DONE]${end}`)
      assert.strictEqual(await world.spent(), cost)
    }
  })

  it("may be cut anywhere, inside a character and between the two bytes of a line end too (WRP-04)", async () => {
    const end = "\r\n\r\n"
    const bytes = new TextEncoder().encode(`${event(said("ä€😀"), end) + event(reported, end)}data: [DONE]${end}`)
    await using world = await openWorld()
    const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte))
    assert.strictEqual(await read(world, pieces), `${event(said("ä€😀"), end)}data: [DONE]${end}`)
    assert.strictEqual(await world.spent(), cost)
  })

  it("with comments, other fields, several data lines and events that are no JSON stays what it is (WRP-04)", async () => {
    await using world = await openWorld()
    const odd = [
      ": ping\n\n",
      "event: x\nid: 7\ndata: {\ndata: }\n\n",
      "data: no json\n\n",
      "retry: 5\n\n",
      "data:\n\n"
    ]
    const rest = "data: [DONE]\n\n"
    assert.strictEqual(
      await read(world, [...odd, event(said("hi")), event(reported), rest]),
      odd.join("") + event(said("hi")) + rest
    )
    assert.strictEqual(await world.spent(), cost)
  })

  it("that ends without a blank line, or without [DONE], is settled by what it reported (CST-11)", async () => {
    await using world = await openWorld()
    await read(world, [event(said("hi")), event(reported)])
    await read(world, [event(said("hi")), event(reported).trimEnd()])
    assert.strictEqual(await world.spent(), 2 * cost)
  })

  it("in which the provider reports an error costs what was seen of it (CST-11)", async () => {
    await using world = await openWorld()
    const failed = event({ error: { message: "overloaded: my password is 1234" } })
    assert.include(await read(world, [event(said("hi there")), failed]), "overloaded")
    const spent = await world.spent()
    assert.isAbove(spent, 0)
    assert.isBelow(spent, 50 * price.output)
    const rows = await world.run(Audit.use((audit) => audit.traceSessionChain(sessionId)))
    assert.notInclude(JSON.stringify(rows), "password")
  })

  it("with a frame of many megabytes is passed on without filling the memory (WRP-04)", async () => {
    await using world = await openWorld()
    const huge = `data: ${"x".repeat(12 * 1024 * 1024)}\n\n`
    const answer = await read(world, [huge, event(reported), "data: [DONE]\n\n"])
    assert.strictEqual(answer.length, huge.length + "data: [DONE]\n\n".length)
    assert.strictEqual(await world.spent(), cost)
  })

  it("is fetched no faster than it is read (WRP-04)", async () => {
    await using world = await openWorld()
    let written = 0
    await using server = await serverOf((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      const more = () => {
        while (written < 64 * 1024 * 1024 && !response.destroyed) {
          written += 65_536
          if (!response.write(event(said("x".repeat(60_000))))) return void response.once("drain", more)
        }
      }
      more()
    })
    const large = JSON.stringify({ ...body, stream: true, max_completion_tokens: 100_000 })
    const response = await fetchOf(world)(server.url, post(large))
    const reader = response.body?.getReader()
    await reader?.read()
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.isBelow(written, 16 * 1024 * 1024)
    await reader?.cancel()
    await world.spent()
    await until(async () => (await world.kinds()).length === 2)
  })
})
