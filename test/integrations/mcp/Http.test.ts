import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { AuthInfo } from "@modelcontextprotocol/sdk/server/auth/types.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import { governClientWith, governServerWith } from "../../../src/integrations/Mcp.ts"
import { isGovernanceError, isHaltError } from "../../../src/schema/GovernanceError.ts"
import { agentId, newClient, newServer, openWorld, rejection, until, type World } from "./World.ts"

/** A governed server on loopback: who calls is what stands in its authorization, its session is the transport's own. */
const listening = async (world: World, ran: Array<unknown>) => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => randomUUID() })
  const server = governServerWith(newServer(ran), {
    governance: world.governance,
    agentId: ({ authInfo }) => String(Object(authInfo).clientId)
  })
  // The SDK's own classes disagree with its interface under exact optional types.
  await server.connect(transport as never)
  const http = createServer((request, response) => {
    const auth: AuthInfo = { token: "", scopes: [], clientId: String(request.headers.authorization) }
    void transport.handleRequest(Object.assign(request, { auth }), response)
  })
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))
  const url = new URL(`http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`)
  return {
    url,
    transport,
    [Symbol.asyncDispose]: async () => {
      await server.close()
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    }
  }
}

const refund = { name: "refund", arguments: { order: "A-17", usd: 5 } }
const as = (name: string) => ({ requestInit: { headers: { authorization: name } } })

describe("MCP over HTTP behind the rooms (BEY-03)", () => {
  it("a governed server knows who calls, and its session finds an approval again (GAT-04)", async () => {
    await using world = await openWorld({ requireApproval: ["refund"] })
    const ran: Array<unknown> = []
    await using server = await listening(world, ran)
    const client = newClient()
    await client.connect(new StreamableHTTPClientTransport(server.url, as(agentId)) as never)
    await client.callTool({ name: "lookup" })
    assert.strictEqual(Object(await rejection(client.callTool(refund))).code, -32010)
    await world.grant()
    await client.callTool(refund)
    assert.strictEqual(ran.length, 2)
    const [card] = await world.cards()
    assert.isUndefined(card)
    await client.close()
  })

  it("a stranger is nobody (SCP-01)", async () => {
    await using world = await openWorld()
    const ran: Array<unknown> = []
    await using server = await listening(world, ran)
    const client = newClient()
    await client.connect(new StreamableHTTPClientTransport(server.url, as("mallory")) as never)
    assert.include(String(await rejection(client.callTool(refund))), "PolicyNotRegistered")
    assert.strictEqual(ran.length, 0)
    await client.close()
  })

  it("a governed client calls off what a halt ends, in either version of the SDK (BEY-05)", async () => {
    for (const version of [1, 2]) {
      await using world = await openWorld({ scope: { allowedTools: ["slow", "mcp.shop.slow"] } })
      const ran: Array<unknown> = []
      await using server = await listening(world, ran)
      const options = { governance: world.governance, agentId, server: "shop" }
      const client =
        version === 1
          ? governClientWith(newClient(), options)
          : governClientWith(new Client2({ name: "agent", version: "1.0.0" }), options)
      const transport =
        version === 1
          ? new StreamableHTTPClientTransport(server.url, as(agentId))
          : new Transport2(server.url, as(agentId))
      await client.connect(transport as never)
      assert.isTrue(isGovernanceError(await rejection(client.callTool(refund))), `version ${version}`)
      const running = rejection(client.callTool({ name: "slow" }))
      await until(() => ran.length === 1)
      const from = performance.now()
      await world.halt()
      assert.isTrue(isHaltError(await running), `version ${version}`)
      await until(() => ran.includes("slow aborted"))
      assert.isBelow(performance.now() - from, 500)
      await client.close()
    }
  })
})
