import { assert, describe, it } from "@effect/vitest"
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js"
import { governServerWith, type McpOptions } from "../../../src/integrations/Mcp.ts"
import { agentId, connect, newClient, newServer, openWorld, rejection, sessionId, until, type World } from "./World.ts"

const opened = async (world: World, options: Partial<McpOptions> = {}, ran: Array<unknown> = []) => {
  const server = governServerWith(newServer(ran), { governance: world.governance, agentId, sessionId, ...options })
  const client = newClient()
  await connect(server, client)
  return client
}

const refund = { name: "refund", arguments: { order: "A-17", usd: 5 } }

describe("An MCP server behind the rooms (BEY-03, THR-07)", () => {
  it("answers as before; each use of a tool is one call, priced and in the log", async () => {
    await using world = await openWorld()
    const ran: Array<unknown> = []
    const client = await opened(world, { maxUsd: { refund: 1 } }, ran)
    assert.deepStrictEqual(await client.callTool(refund), { content: [{ type: "text", text: "did 1" }] })
    assert.deepStrictEqual(ran, [{ order: "A-17", usd: 5 }])
    assert.deepStrictEqual(await world.money(), { spent: 1_000_000_000, held: 0 })
    assert.deepStrictEqual(await world.kinds(), ["tool.call", "tool.result completed"])
  })

  it("refuses what the policy does not list, and says no more than which error it was (SCP-01, T-14)", async () => {
    await using world = await openWorld({ scope: { allowedTools: ["lookup"] } })
    const ran: Array<unknown> = []
    const client = await opened(world, {}, ran)
    const error = await rejection(client.callTool(refund))
    assert.include(String(error), "ScopeViolation")
    assert.notInclude(String(error), "lookup")
    await rejection(client.request({ method: "tools/call", params: refund }, CallToolResultSchema))
    assert.strictEqual(ran.length, 0)
    await client.callTool({ name: "lookup" })
    assert.strictEqual(ran.length, 1)
  })

  it("stops at the budget: 20 calls at once for 4 run 4 (DEC-18)", async () => {
    await using world = await openWorld({ perSessionUsd: 4 })
    const ran: Array<unknown> = []
    const client = await opened(world, { maxUsd: { lookup: 1 } }, ran)
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => client.callTool({ name: "lookup" })))
    assert.strictEqual(all.filter(({ status }) => status === "fulfilled").length, 4)
    assert.strictEqual(ran.length, 4)
  })

  it("neither lists nor finds hidden tools (SCP-06)", async () => {
    await using world = await openWorld({ scope: { hiddenTools: ["refund", "s*"] } })
    const ran: Array<unknown> = []
    const client = await opened(world, {}, ran)
    assert.deepStrictEqual(
      (await client.listTools()).tools.map(({ name }) => name),
      ["lookup", "broken"]
    )
    assert.include(String(await rejection(client.callTool(refund))), "Tool refund not found")
    assert.strictEqual(ran.length, 0)
  })

  it("says that a person is asked, by the request's id and without a token; the same call after the grant runs once, with what he approved (BEY-02, GAT-04)", async () => {
    await using world = await openWorld({ requireApproval: ["refund"] })
    const ran: Array<unknown> = []
    const client = await opened(world, {}, ran)
    const error = Object(await rejection(client.callTool(refund)))
    const [card] = await world.cards()
    assert.strictEqual(error.code, -32010)
    assert.deepStrictEqual(error.data, { error: "ApprovalPending", request: card?.gate.requestId })
    assert.notInclude(JSON.stringify(error) + String(error), card?.token ?? "no token")
    await rejection(client.callTool(refund))
    assert.strictEqual((await world.cards()).length, 1)
    await world.grant({ arguments: { order: "A-17", usd: 3 } })
    await client.callTool(refund)
    assert.deepStrictEqual(ran, [{ order: "A-17", usd: 3 }])
    assert.strictEqual(Object(await rejection(client.callTool(refund))).code, -32010)
    assert.strictEqual(ran.length, 1)
  })

  it("a halted agent's call does not run; a running one is called off at once (BEY-05)", async () => {
    await using world = await openWorld()
    const ran: Array<unknown> = []
    const client = await opened(world, {}, ran)
    const running = rejection(client.callTool({ name: "slow" }))
    await until(() => ran.length === 1)
    const from = performance.now()
    await world.halt()
    assert.strictEqual(Object(await running).code, -32012)
    await until(() => ran.includes("slow aborted"))
    assert.isBelow(performance.now() - from, 500)
    assert.strictEqual(Object(await rejection(client.callTool(refund))).code, -32012)
    assert.strictEqual(ran.length, 2)
    assert.strictEqual((await world.money()).held, 0)
  })

  it("a call that its client calls off, or whose connection ends, is settled (BEY-06)", async () => {
    await using world = await openWorld()
    const ran: Array<unknown> = []
    const client = await opened(world, { maxUsd: { slow: 1 } }, ran)
    const controller = new AbortController()
    const first = rejection(client.callTool({ name: "slow" }, undefined, { signal: controller.signal }))
    await until(() => ran.length === 1)
    controller.abort()
    await first
    await until(async () => (await world.money()).held === 0)
    assert.strictEqual((await world.money()).spent, 1_000_000_000)
    const second = rejection(client.callTool({ name: "slow" }))
    await until(() => ran.filter((what) => what === "slow").length === 2)
    await client.close()
    await second
    await until(async () => (await world.money()).held === 0)
    assert.strictEqual((await world.money()).spent, 2_000_000_000)
  })

  it("a tool's own failure reaches the client as it is", async () => {
    await using world = await openWorld()
    const client = await opened(world)
    const failed = await client.callTool({ name: "broken" })
    assert.isTrue(failed.isError)
    assert.include(JSON.stringify(failed), "out of paper")
    assert.include(JSON.stringify(await client.callTool({ name: "nothing" })), "not found")
  })

  it("resources and prompts are apis (SCP-01)", async () => {
    await using world = await openWorld({ scope: { allowedApis: ["resource:file:///public/*", "prompt:sort"] } })
    const client = await opened(world)
    assert.include(String(await rejection(client.readResource({ uri: "file:///notes/a" }))), "ScopeViolation")
    assert.strictEqual((await client.getPrompt({ name: "sort" })).messages.length, 1)
    assert.strictEqual((await client.listResources()).resources.length, 1)
    assert.include((await world.kinds()).join(), "api.call")
  })

  it("each end of a connection may be an agent of its own", async () => {
    await using world = await openWorld()
    const client = await opened(world, { agentId: ({ authInfo }) => (authInfo === undefined ? "nobody" : agentId) })
    assert.include(String(await rejection(client.callTool(refund))), "PolicyNotRegistered")
  })

  it("a second govern changes nothing and is warned of; a connected server is refused (WRP-01)", async () => {
    await using world = await openWorld()
    const server = newServer()
    const options = { governance: world.governance, agentId, sessionId }
    assert.strictEqual(governServerWith(server, options), server)
    governServerWith(server.server, options)
    await until(() => world.logged("wrapper.already_governed").length === 1)
    const other = newServer()
    await connect(other, newClient())
    assert.throws(() => governServerWith(other, options), /connected already/)
    assert.throws(() => governServerWith({} as never, options), /wants a Client, Server or McpServer/)
  })

  it("a request that no protocol answers holds nothing, and an id is used once at a time (R-07)", async () => {
    await using world = await openWorld()
    const ran: Array<unknown> = []
    const client = await opened(world, { maxUsd: { slow: 1 } }, ran)
    const send = (id: unknown) =>
      client.transport?.send({ jsonrpc: "2.0", id, method: "tools/call", params: { name: "slow" } } as never)
    await send(null)
    await send({})
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepStrictEqual(await world.money(), { spent: 0, held: 0 })
    await send("twice")
    await until(() => ran.length === 1)
    await send("twice")
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.strictEqual(ran.length, 1)
    assert.strictEqual((await world.money()).held, 1_000_000_000)
  })
})
