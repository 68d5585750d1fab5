import { assert, describe, it } from "@effect/vitest"
import { begin } from "../../src/integrations/LiveCall.ts"
import { LogicalCall, overriding } from "../../src/integrations/LogicalCall.ts"
import { Meter } from "../../src/integrations/Meter.ts"
import { chat } from "../../src/integrations/OpenAiChat.ts"
import { outgoing } from "../../src/integrations/Outgoing.ts"
import { agentId, openWorld, rejection, sessionId } from "./ClientWorld.ts"

const model = "gpt-4o-mini"
const body = { model, messages: [], max_completion_tokens: 50 }

describe("A call that an SDK tries again by itself", () => {
  it("ends at once with what withholds its result, and sends nothing more (CON-03, WRP-02)", async () => {
    await using world = await openWorld()
    const withheld = new Error("withheld")
    const live = await begin({ host: world.governance, call: { agentId, sessionId, model, maxTokens: 50 } })
    const settle = async () => {
      await live.settle({ _tag: "Completed" })
      throw withheld
    }
    const call = { live: overriding(live, { settle }), wire: chat, body, text: JSON.stringify(body), hidesUsage: false }
    const url = `${world.provider.openAiUrl}/chat/completions`
    const init = { method: "POST", body: JSON.stringify(body) }
    let attempts = 0
    const error = await rejection(
      LogicalCall.run(async () => {
        const logical = LogicalCall.current()
        // As SDKs do: whatever is thrown in fetch is taken for a broken network, and tried again.
        for (;;) {
          attempts++
          await logical?.admitted(async () => call)
          await logical?.send(fetch, outgoing(url, init), call, (it) => it).catch(() => {})
        }
      })
    )
    assert.strictEqual(error, withheld)
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.isAtMost(attempts, 2)
    assert.strictEqual(world.provider.requests.length, 1)
  })

  it("is another call where the model, the maximum or the tools are others (WRP-02)", () => {
    const tools = [{ type: "function", function: { name: "look" } }]
    const admitted = { ...body, tools }
    const call = {
      live: undefined as never,
      wire: chat,
      body: admitted,
      text: JSON.stringify(admitted),
      hidesUsage: false
    }
    const covers = (sent: object) => new LogicalCall().covers(call, JSON.stringify(sent))
    assert.isTrue(covers(admitted))
    assert.isTrue(covers({ ...admitted, max_completion_tokens: 10, tools: [], temperature: 1 }))
    assert.isFalse(covers({ ...admitted, model: "gpt-4o" }))
    assert.isFalse(covers({ ...admitted, max_completion_tokens: 51 }))
    assert.isFalse(covers({ ...admitted, n: 2 }))
    assert.isFalse(covers({ ...admitted, max_completion_tokens: undefined }))
    assert.isFalse(covers({ ...admitted, tools: [...tools, { type: "function", function: { name: "pay" } }] }))
    assert.isFalse(new LogicalCall().covers(call, "no json"))
    assert.isFalse(new LogicalCall().covers(call, undefined))
  })
})

describe("The meter of a call of which an attempt was lost", () => {
  it("says no less than what was declared, and nothing where nothing was declared (CST-11)", () => {
    const meter = new Meter(model, 30, 50)
    meter.lost()
    meter.report({ inputTokens: 10, outputTokens: 7 }, true)
    assert.deepStrictEqual(meter.exact, { model, inputTokens: 30, outputTokens: 50 })
    meter.report({ inputTokens: 90, outputTokens: 70 }, true)
    assert.deepStrictEqual(meter.exact, { model, inputTokens: 90, outputTokens: 70 })
    const open = new Meter(model, 30, undefined)
    open.lost()
    open.report({ inputTokens: 10, outputTokens: 7 }, true)
    assert.isUndefined(open.exact)
  })
})
