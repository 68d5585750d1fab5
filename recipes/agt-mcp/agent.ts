// The refund tool of a support agent, as an MCP server: for Microsoft Agent Framework in Python or .NET, or any other client.
// Every refund passes three gates before it is paid, in this order: may this agent do that at all (scope), is there money left
// for it (cost), and from 1000.00 on, does a person agree (approval). They stand here, where the money is, and not in the client.
import assert from "node:assert/strict"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { ApprovalPending, Governance, isGovernanceError, isHaltError } from "effect-governance/promise"
import { z } from "zod"

const agentId = "refund-agent"
const sessionId = "support-desk"
const personFrom = 1000_00

/** Cents, so that 999.99 and 1000.00 are told apart exactly: an amount of money is no floating-point number. */
const centsOf = (amount: string): number => {
  const [, dollars = "", cents = ""] = /^(\d{1,9})(?:\.(\d{1,2}))?$/.exec(amount) ?? []
  if (dollars === "") throw new Error(`${amount} is no amount of money; write it like 19.90.`)
  return Number(dollars) * 100 + Number(cents.padEnd(2, "0"))
}

/** Stands for your payment service. */
const paid: Array<string> = []
const pay = async (order: string, amount: string): Promise<string> => {
  paid.push(`${order} ${amount}`)
  return `Refunded ${amount} for order ${order}.`
}

const refund = (governance: Governance, order: string, asked: string): Promise<string> => {
  const cents = centsOf(asked)
  const amount = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`
  return governance.governed(
    {
      agentId,
      sessionId,
      tool: "refund",
      input: { order, amount },
      maxUsd: amount,
      // A client gives up after a minute, a person may take a day: so it is told to come again, and then finds the approval.
      approval: { required: cents >= personFrom, wait: false }
    },
    () => pay(order, amount)
  )
}

/** What the agent may do: this tool and no other, for so much a day, and never with its own operator's approval. */
const rules = async (governance: Governance): Promise<void> => {
  await governance.scope.register({ agentId, allowedTools: ["refund"] })
  await governance.cost.register({ agentId, perAgentUsdDaily: "5000.00" })
  await governance.presence.heartbeat(agentId, { operatorId: process.env.OPERATOR ?? "operator@example.com" })
}

const said = (text: string, isError = false) => ({ content: [{ type: "text" as const, text }], isError })

const serverOf = (governance: Governance): McpServer => {
  const server = new McpServer({ name: "refunds", version: "1.0.0" })
  const amount = z.string().regex(/^\d{1,9}(\.\d{1,2})?$/, "must be dollars and cents, such as 19.90")
  const inputSchema = { order: z.string(), amount }
  const description = "Pays money back for an order. A large amount waits for a person first."
  server.registerTool("refund", { description, inputSchema }, async ({ amount, order }) => {
    try {
      return said(await refund(governance, order, amount))
    } catch (error) {
      if (error instanceof ApprovalPending) {
        console.error(`The refund of ${amount} waits for a person: npx governance approvals`)
        return said("A person has to agree first. Call again with the same arguments later.")
      }
      // The client hears what was refused and why; anything else is nobody's business but ours.
      if (isGovernanceError(error) || isHaltError(error)) return said(`Refused: ${(error as Error).message}`, true)
      console.error(error)
      return said("The refund failed.", true)
    }
  })
  return server
}

/** `npm start`: serves on standard input and output, with a database of its own in ./.governance that keeps the record. */
const main = async (): Promise<void> => {
  // No model is called here, so there is no wrapper to warn of.
  const governance = await Governance.embedded({ warnOnNoWrappers: false })
  await rules(governance)
  const server = serverOf(governance)
  server.server.onclose = () => void governance.close()
  process.stdin.once("end", () => void server.close())
  await server.connect(new StdioServerTransport())
}

/** `npm test`: a client asks for the refunds. Nothing is kept and nothing leaves. */
const smoke = async (): Promise<void> => {
  const governance = await Governance.memory({ warnOnNoWrappers: false })
  const [here, there] = InMemoryTransport.createLinkedPair()
  const client = new Client({ name: "smoke", version: "1.0.0" })
  const ask = (amount: string) => client.callTool({ name: "refund", arguments: { order: "A-17", amount } })
  try {
    await rules(governance)
    await Promise.all([serverOf(governance).connect(there), client.connect(here)])
    await ask("999.99")
    assert.deepEqual(paid, ["A-17 999.99"])
    assert.match(JSON.stringify(await ask("1000.00")), /A person has to agree first/)
    assert.deepEqual(paid, ["A-17 999.99"], "1000.00 was paid before a person agreed")
    const [waiting] = await governance.gates.list({ agentId, which: "pending" })
    await governance.gates.grant(waiting?.token ?? "", { by: "rita@example.com", reason: "I have seen the order" })
    await ask("1000.00")
    assert.deepEqual(paid, ["A-17 999.99", "A-17 1000.00"])
    assert.match(JSON.stringify(await ask("1000.00")), /A person has to agree first/)
    assert.deepEqual(paid, ["A-17 999.99", "A-17 1000.00"], "one approval paid twice")
    await governance.presence.halt(agentId, { by: "rita@example.com", reason: "smoke test" })
    assert.equal((await ask("1.00")).isError, true)
    assert.equal(paid.length, 2, "a halted agent paid")
    console.log("ok: 999.99 is paid at once; 1000.00 waits for a person, and one approval pays once")
  } finally {
    await client.close()
    await governance.close()
  }
}

await (process.argv.includes("--smoke") ? smoke() : main())
