import { createOpenAI } from "@ai-sdk/openai"
import { assert, describe, it } from "@effect/vitest"
import { generateText } from "ai"
import * as AiSdk from "../../src/integrations/AiSdk.ts"
import { messages } from "../../src/integrations/AnthropicMessages.ts"
import { langChain, bodyOf as langChainBody } from "../../src/integrations/LangChainCall.ts"
import { responses } from "../../src/integrations/OpenAiResponses.ts"
import { surchargeOf } from "../../src/integrations/Surcharge.ts"
import { Audit } from "../../src/services/Audit.ts"
import { agentId, openWorld, rejection, sessionId } from "./ClientWorld.ts"
import { clientOf } from "./openai/Client.ts"

const model = "gpt-4o-mini"
const body = { model, max_completion_tokens: 50, messages: [{ role: "user" as const, content: "How is it?" }] }
const priority = { service_tier: "priority" as const }

describe("A request that is dearer than the price book says", () => {
  it("is refused before anything is sent, and the log has it (THR-05, CST-05)", async () => {
    await using world = await openWorld()
    const error = await rejection(clientOf(world).chat.completions.create({ ...body, ...priority }))
    assert.propertyVal(error, "_tag", "UngovernedCall")
    assert.include(String((error as { recoveryHint?: string }).recoveryHint), 'allow: ["service_tier priority"]')
    assert.lengthOf(world.provider.requests, 0)
    assert.deepStrictEqual(await world.kinds(), ["call.ungoverned"])
  })

  it("is sent where the program allows it by name, and the log says so (THR-05)", async () => {
    await using world = await openWorld()
    const client = clientOf(world, { allow: ["service_tier priority"] })
    await client.chat.completions.create({ ...body, ...priority })
    assert.propertyVal(world.provider.requests[0]?.body, "service_tier", "priority")
    const rows = await world.run(Audit.use((audit) => audit.traceSessionChain(sessionId)))
    assert.strictEqual(rows[0]?.kind, "call.ungoverned")
    assert.include(JSON.stringify(rows[0]?.metadata), '"allowed":true')
  })

  it("is refused too where a hook asks for it after admission (THR-05)", async () => {
    await using world = await openWorld()
    const client = clientOf(world, {}, { maxRetries: 0, logLevel: "off" })
    const inner = client as unknown as { prepareRequest: (request: { body?: unknown }) => Promise<void> }
    inner.prepareRequest = async (request) => {
      request.body = JSON.stringify({ ...JSON.parse(String(request.body)), ...priority })
    }
    assert.propertyVal(await rejection(client.chat.completions.create(body)), "status", 403)
    assert.lengthOf(world.provider.requests, 0)
  })

  it("is refused through the AI SDK (THR-05)", async () => {
    await using world = await openWorld()
    const provider = createOpenAI({ apiKey: "none", baseURL: world.provider.openAiUrl })
    const governed = AiSdk.governWith(provider.chat(model), { governance: world.governance, agentId, sessionId })
    const ask = (serviceTier: string) =>
      generateText({ model: governed, prompt: "Hi", maxOutputTokens: 50, providerOptions: { openai: { serviceTier } } })
    assert.propertyVal(await rejection(ask("priority")), "_tag", "UngovernedCall")
    assert.lengthOf(world.provider.requests, 0)
    await ask("flex")
    assert.lengthOf(world.provider.requests, 1)
  })

  it("is known by its fields in every form of a request, and what is cheaper or as dear passes (THR-05)", () => {
    const said = (request: { readonly surcharge?: unknown }) => request.surcharge
    assert.deepStrictEqual(said(responses.request({ model, service_tier: "fast" })), {
      method: "service_tier",
      path: "fast"
    })
    assert.deepStrictEqual(said(messages.request({ model, speed: "fast" })), { method: "speed", path: "fast" })
    assert.deepStrictEqual(said(messages.request({ model, inference_geo: "us" })), {
      method: "inference_geo",
      path: "us"
    })
    const chained = langChain.request(langChainBody([], {}, { model, ...priority }, {}))
    assert.deepStrictEqual(said(chained), { method: "service_tier", path: "priority" })
    for (const service_tier of [null, "auto", "default", "flex", "standard_only"])
      assert.isUndefined(surchargeOf({ service_tier, speed: null, inference_geo: "global" }))
  })
})
