import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { current, within } from "../../src/integrations/CurrentCall.ts"
import { governedFetch } from "../../src/integrations/GovernedFetch.ts"
import * as Host from "../../src/integrations/Host.ts"
import type { LiveCall } from "../../src/integrations/LiveCall.ts"
import { openAi } from "../../src/integrations/OpenAiProvider.ts"
import {
  BudgetExceeded,
  ConfigurationError,
  formatUsd,
  Governance,
  GovernanceClosed,
  httpStatusOf,
  LoopDetected,
  ModuleDisabledError,
  StoreError
} from "../../src/promise/Governance.ts"

const reply = {
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "gpt-4o-2024-05-13",
  choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000 }
}

/** Answers every request like a provider, and counts them. */
const provider = async () => {
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(reply))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1/chat/completions`,
    requests: () => requests,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve()))
  }
}
const message = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({
    model: "gpt-4o-2024-05-13",
    max_tokens: 1000,
    messages: [{ role: "user", content: "hello" }]
  })
}

describe("wrappers on the Promise facade", () => {
  it("a governed fetch needs nothing but the facade: it is charged, refused and counted (WRP-01, SYN-02)", async () => {
    await using there = await provider()
    await using governance = await Governance.memory({ warnOnNoWrappers: false })
    await governance.scope.register({ agentId: "writer" })
    await governance.cost.register({ agentId: "writer", perAgentUsdDaily: "0.03" })
    const send = governedFetch({ governance, agentId: "writer", sessionId: "s", provider: openAi, refusal: "throw" })
    assert.strictEqual((await (await send(there.url, message)).json()).id, "chatcmpl-1")
    // The price book: 1k + 1k tokens of this model are 2 cents (BEY-08).
    const spent = (await governance.cost.snapshot("writer", "s")).state.dailyUsd
    assert.strictEqual(formatUsd(spent), "$0.02")
    const refused = await send(there.url, message).catch((error) => error)
    assert.instanceOf(refused, BudgetExceeded)
    assert.strictEqual(there.requests(), 1)
    await governance.close()
    assert.instanceOf(await send(there.url, message).catch((error) => error), GovernanceClosed)
    assert.strictEqual(there.requests(), 1)
  })

  it("runs effects for wrappers, and rejects with the very error (SYN-02)", async () => {
    await using governance = await Governance.memory({ warnOnNoWrappers: false })
    assert.strictEqual(await Host.promise(governance, Effect.succeed(1)), 1)
    const mine = new Error("mine")
    assert.strictEqual(await Host.promise(governance, Effect.fail(mine)).catch((error) => error), mine)
  })

  it("a function that is governed is a call of its own, whatever call surrounds it (BEY-01)", async () => {
    await using governance = await Governance.memory({ warnOnNoWrappers: false })
    await governance.scope.register({ agentId: "clerk", allowedTools: ["refund"] })
    // Only asked whether it is settled, and for the function itself.
    const outer = { isSettled: false, enclose: (run: () => unknown) => run() } as LiveCall
    const seen = await within(outer, async () => {
      assert.strictEqual(current(), outer)
      return governance.governed({ agentId: "clerk", tool: "refund" }, async () => current() ?? "none")
    })
    assert.strictEqual(seen, "none")
  })
})

describe("coverage", () => {
  it("what the function of a governed model call sends is governed, before and after it is not (BEY-13)", async () => {
    await using there = await provider()
    await using governance = await Governance.memory({
      enableCoverage: true,
      coverageHosts: [new URL(there.url).host],
      auditSecret: "Zx8!pQ2#vL9$wR4%tY7&uB1*nM5(kJ3)",
      log: () => {}
    })
    await governance.scope.register({ agentId: "writer", allowedTools: ["read"] })
    const send = async () => (await fetch(there.url, message)).json()
    const call = { agentId: "writer", model: "gpt-4o-2024-05-13", maxTokens: 10 }
    let late = async (): Promise<unknown> => assert.fail("not yet")
    await governance.governed(call, async () => {
      const { resolve, promise } = Promise.withResolvers<void>()
      const sent = promise.then(send)
      late = async () => {
        resolve()
        return sent
      }
      return send()
    })
    await late()
    for await (const _ of governance.governedStream(call, async function* () {
      yield await send()
    })) {
      // One part.
    }
    await governance.governed({ agentId: "writer", tool: "read" }, send)
    await send()
    const { coveragePct, governed, raw } = await governance.coverage.report()
    assert.deepStrictEqual({ coveragePct, governed, raw }, { coveragePct: 0.4, governed: 2, raw: 3 })
    assert.strictEqual(there.requests(), 5)
  })
})

describe("HTTP", () => {
  it("has a status for each error of the library, and none for others (ERR-01)", async () => {
    await using governance = await Governance.memory({ warnOnNoWrappers: false, enableLoop: false })
    const status = (promise: Promise<unknown>) => promise.then(() => 200, httpStatusOf)
    const call = { agentId: "clerk", tool: "refund" }
    assert.strictEqual(await status(governance.governed(call, () => 1)), 403)
    await governance.scope.register({ agentId: "clerk", allowedTools: ["refund"] })
    await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: 1 })
    assert.strictEqual(await status(governance.governed({ ...call, maxUsd: 2 }, () => 1)), 402)
    assert.strictEqual(await status(governance.governed({ agentId: "clerk", model: "no-such-model" }, () => 1)), 422)
    await governance.presence.halt("clerk", { by: "ada", reason: "stop" })
    assert.strictEqual(await status(governance.governed(call, () => 1)), 409)
    const loop = { agentId: "a", sessionId: null, tool: "t", pattern: "count", count: 2, limit: 1, windowSeconds: 1 }
    // Ids are plain text to whoever makes an error by hand.
    assert.strictEqual(httpStatusOf(new LoopDetected(loop as ConstructorParameters<typeof LoopDetected>[0])), 429)
    assert.strictEqual(httpStatusOf(new StoreError({ store: "s", operation: "o", problem: "deadline" })), 503)
    assert.strictEqual(httpStatusOf(new GovernanceClosed({ problem: "closed" })), 503)
    assert.strictEqual(httpStatusOf(new ConfigurationError({ setting: "s", problem: "p" })), 500)
    assert.strictEqual(httpStatusOf(new ModuleDisabledError({ module: "cost" })), 500)
    for (const other of [new Error("x"), "text", undefined, null, { _tag: "BudgetExceeded" }]) {
      assert.isUndefined(httpStatusOf(other))
    }
  })
})
