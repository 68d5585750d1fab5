import { assert, describe, it } from "@effect/vitest"
import { chat } from "../../../src/integrations/OpenAiChat.ts"
import { responses } from "../../../src/integrations/OpenAiResponses.ts"
import type { Body, Wire } from "../../../src/integrations/Provider.ts"

const model = "gpt-4o-mini"

/** What is sent where the policy hides `drop` and `web_search`. */
const sent = (wire: Wire, body: Body): Body => {
  const visible = new Set(
    wire.request({ model, ...body }).tools.filter((name) => !["drop", "web_search"].includes(name))
  )
  return wire.rewrite({ model, ...body }, { model, isVisible: (tool) => visible.has(tool) }).body
}

const named = (name: string) => ({ type: "function", name })
const chatNamed = (name: string) => ({ type: "function", function: { name } })

describe("A hidden tool of OpenAI", () => {
  it("does not reach the model in a namespace (SCP-06)", () => {
    const crm = { type: "namespace", name: "crm", description: "", tools: [named("find"), named("drop")] }
    assert.deepStrictEqual(sent(responses, { tools: [crm] }).tools, [{ ...crm, tools: [named("find")] }])
    assert.notProperty(sent(responses, { tools: [{ ...crm, tools: [named("drop")] }] }), "tools")
    assert.notProperty(sent(responses, { tools: [{ ...crm, name: "drop", tools: [named("find")] }] }), "tools")
  })

  it("does not reach the model under a second name (SCP-06)", () => {
    for (const tool of [
      { type: "web_search", name: "find" },
      { type: "web_search", server_label: "find" },
      { type: "mcp", server_label: "drop", name: "find" }
    ])
      assert.deepStrictEqual(sent(responses, { tools: [tool, named("find")] }).tools, [named("find")])
    const tool = { type: "custom", custom: { name: "drop" }, function: { name: "find" } }
    assert.deepStrictEqual(sent(chat, { tools: [tool, chatNamed("find")] }).tools, [chatNamed("find")])
  })

  it("does not reach the model as an option of the request (SCP-06)", () => {
    assert.notProperty(sent(chat, { web_search_options: {} }), "web_search_options")
    const visible = chat.request({ model, web_search_options: {} }).tools
    assert.deepStrictEqual(visible, ["web_search"])
    const shown = chat.rewrite({ model, web_search_options: {} }, { model, isVisible: () => true }).body
    assert.property(shown, "web_search_options")
  })

  it("is in no choice either, and what else a list allows stays (SCP-06)", () => {
    const tools = [named("drop"), named("find"), { type: "web_search" }]
    const choice = (tool_choice: unknown) => sent(responses, { tools, tool_choice }).tool_choice
    assert.isUndefined(choice({ type: "web_search" }))
    assert.isUndefined(choice(named("drop")))
    assert.deepStrictEqual(choice(named("find")), named("find"))
    assert.strictEqual(choice("required"), "required")
    const allowed = (...of: ReadonlyArray<object>) => ({ type: "allowed_tools", mode: "auto", tools: of })
    assert.deepStrictEqual(choice(allowed(...tools)), allowed(named("find")))
    assert.isUndefined(choice(allowed(named("drop"))))
    const chatTools = [chatNamed("drop"), chatNamed("find")]
    const chatAllowed = (of: ReadonlyArray<object>) => ({
      type: "allowed_tools",
      allowed_tools: { mode: "auto", tools: of }
    })
    const chosen = sent(chat, { tools: chatTools, tool_choice: chatAllowed(chatTools) }).tool_choice
    assert.deepStrictEqual(chosen, chatAllowed([chatNamed("find")]))
  })
})
