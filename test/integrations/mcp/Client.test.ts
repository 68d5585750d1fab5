import { assert, describe, it } from "@effect/vitest"
import { Client as Client2 } from "@modelcontextprotocol/client"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js"
import { governClientWith, type McpClientOptions } from "../../../src/integrations/Mcp.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { agentId, connect, newClient, newServer, openWorld, rejection, sessionId, until, type World } from "./World.ts"

const opened = async (world: World, options: Partial<McpClientOptions> = {}, ran: Array<unknown> = []) => {
  const client = governClientWith(newClient(), {
    ...{ governance: world.governance, agentId, sessionId, server: "shop" },
    ...options
  })
  await connect(newServer(ran), client)
  return client
}

const refund = { name: "refund", arguments: { order: "A-17", usd: 5 } }

describe("An MCP client behind the rooms (BEY-03, THR-07)", () => {
  it("each use of a tool is one call by the name that this program gives its server", async () => {
    await using world = await openWorld({ scope: { allowedTools: ["mcp.shop.refund"] } })
    const ran: Array<unknown> = []
    const client = await opened(world, { maxUsd: { refund: 1 } }, ran)
    assert.deepStrictEqual(await client.callTool(refund), { content: [{ type: "text", text: "did 1" }] })
    assert.deepStrictEqual(await world.money(), { spent: 1_000_000_000, held: 0 })
    assert.deepStrictEqual(await world.kinds(), ["tool.call", "tool.result completed"])
  })

  it("a refusal is what the call rejects with, by whichever method it is made (THR-05)", async () => {
    await using world = await openWorld({ scope: { allowedTools: ["refund", "mcp.other.*"] } })
    const ran: Array<unknown> = []
    const client = await opened(world, {}, ran)
    const requested = client.request({ method: "tools/call", params: refund }, CallToolResultSchema)
    const sent = client.transport?.send({ jsonrpc: "2.0", id: "mine", method: "tools/call", params: refund })
    for (const way of [client.callTool(refund), requested, sent ?? Promise.resolve()]) {
      const error = await rejection(way)
      assert.isTrue(isGovernanceError(error))
      assert.strictEqual(Object(error)._tag, "ScopeViolation")
    }
    const parts = []
    for await (const part of client.experimental.tasks.callToolStream(refund)) parts.push(part)
    assert.strictEqual(parts.at(-1)?.type, "error")
    assert.strictEqual(ran.length, 0)
  })

  it("hidden tools are not listed (SCP-06)", async () => {
    await using world = await openWorld({ scope: { hiddenTools: ["mcp.shop.refund"] } })
    const client = await opened(world)
    assert.deepStrictEqual(
      (await client.listTools()).tools.map(({ name }) => name),
      ["lookup", "slow", "broken"]
    )
  })

  it("waits for a person, holds nothing meanwhile, and runs once with what he approved (BEY-02)", async () => {
    await using world = await openWorld({ requireApproval: ["mcp.shop.refund"] })
    const ran: Array<unknown> = []
    const client = await opened(world, { maxUsd: { refund: 1 } }, ran)
    const call = client.callTool(refund)
    await until(async () => (await world.cards()).length === 1)
    assert.strictEqual((await world.money()).held, 0)
    await world.grant({ arguments: { order: "A-17", usd: 3 } })
    await call
    assert.deepStrictEqual(ran, [{ order: "A-17", usd: 3 }])
  })

  it("a wait that the client gives up sends nothing, and the grant counts for the same call later (T-15)", async () => {
    await using world = await openWorld({ requireApproval: ["mcp.shop.refund"] })
    const ran: Array<unknown> = []
    const client = await opened(world, {}, ran)
    await rejection(client.callTool(refund, undefined, { timeout: 50 }))
    assert.strictEqual(ran.length, 0)
    await world.grant()
    await client.callTool(refund)
    assert.strictEqual(ran.length, 1)
  })

  it("a halt ends a running call with the error itself, and the server hears of it (BEY-05)", async () => {
    await using world = await openWorld()
    const ran: Array<unknown> = []
    const client = await opened(world, {}, ran)
    const running = rejection(client.callTool({ name: "slow" }))
    await until(() => ran.length === 1)
    await world.halt()
    assert.isTrue(isHaltError(await running))
    await until(() => ran.includes("slow aborted"))
    assert.isTrue(isHaltError(await rejection(client.callTool(refund))))
    assert.strictEqual((await world.money()).held, 0)
  })

  it("calls that time out, or whose connection ends, are settled (BEY-06)", async () => {
    await using world = await openWorld()
    const ran: Array<unknown> = []
    const client = await opened(world, { maxUsd: { slow: 1 } }, ran)
    await rejection(client.callTool({ name: "slow" }, undefined, { timeout: 30 }))
    await until(() => ran.includes("slow aborted"))
    await until(async () => (await world.money()).held === 0)
    assert.strictEqual((await world.money()).spent, 1_000_000_000)
    const second = rejection(client.callTool({ name: "slow" }))
    await until(() => ran.filter((what) => what === "slow").length === 2)
    await client.close()
    await second
    await until(async () => (await world.money()).held === 0)
  })

  it("resources and prompts are apis of their server (SCP-01)", async () => {
    await using world = await openWorld({ scope: { allowedApis: ["mcp.shop.prompt:sort"] } })
    const client = await opened(world)
    assert.isTrue(isGovernanceError(await rejection(client.readResource({ uri: "file:///notes/a" }))))
    assert.strictEqual((await client.getPrompt({ name: "sort" })).messages.length, 1)
  })

  it("a client of version 2 is governed by the same lines (THR-11)", async () => {
    await using world = await openWorld({ scope: { allowedTools: ["mcp.shop.lookup"] } })
    const ran: Array<unknown> = []
    const client = governClientWith(new Client2({ name: "agent", version: "1.0.0" }), {
      ...{ governance: world.governance, agentId, sessionId, server: "shop" }
    })
    const [ours, theirs] = InMemoryTransport.createLinkedPair()
    await Promise.all([newServer(ran).connect(theirs), client.connect(ours as never)])
    await client.callTool({ name: "lookup" })
    assert.isTrue(isGovernanceError(await rejection(client.callTool(refund))))
    assert.deepStrictEqual(ran, ["lookup"])
    await client.close()
  })
})
