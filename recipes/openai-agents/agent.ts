// A support agent that gives money back. Every refund passes three gates before it is paid, in this order: may this agent do
// that at all (scope), is there money left for it (cost), and from 1000.00 on, does a person agree (approval). They stand in
// the tool itself, so they hold whatever framework, model or prompt comes to call it.
import assert from "node:assert/strict"
import { setTimeout as sleep } from "node:timers/promises"
import { Agent, OpenAIProvider, Runner, tool } from "@openai/agents"
import { governWith } from "effect-governance/openai-agents"
import { Governance } from "effect-governance/promise"
import { FakeProvider } from "effect-governance/testing/FakeProvider"
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
  if (cents >= personFrom) console.log(`The refund of ${amount} waits for a person: npx governance approvals`)
  return governance.governed(
    {
      agentId,
      sessionId,
      tool: "refund",
      input: { order, amount },
      maxUsd: amount,
      approval: { required: cents >= personFrom }
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

const answer = async (governance: Governance, question: string, provider: OpenAIProvider): Promise<string> => {
  // The model's own calls pass the same gates and count in the same budget.
  const modelProvider = governWith(provider, { governance, agentId, sessionId })
  const agent = new Agent({
    name: agentId,
    model: process.env.OPENAI_MODEL ?? "gpt-5.4-mini",
    modelSettings: { maxTokens: 2000 },
    instructions: "You help customers. Give money back with the refund tool when an order went wrong.",
    tools: [
      tool({
        name: "refund",
        description: "Pays money back for an order. Waits for a person when the amount is large.",
        parameters: z.object({ order: z.string(), amount: z.string().describe("Dollars and cents, such as 19.90") }),
        execute: ({ amount, order }) => refund(governance, order, amount)
      })
    ]
  })
  // Traces would send the conversation elsewhere.
  const result = await new Runner({ modelProvider, tracingDisabled: true }).run(agent, question)
  return result.finalOutput ?? ""
}

/** `npm start -- "<question>"`: a real model, and a database of its own in ./.governance that keeps the record. */
const main = async (): Promise<void> => {
  const question = process.argv[2] ?? "Order A-17 arrived broken. Please give me my 1000.00 back."
  const governance = await Governance.embedded()
  try {
    await rules(governance)
    console.log(await answer(governance, question, new OpenAIProvider()))
  } finally {
    await governance.close()
  }
}

/** `npm test`: a fake model on this machine asks for the refunds. Nothing is kept and nothing leaves. */
const smoke = async (): Promise<void> => {
  const hangs = setTimeout(() => assert.fail("somebody waits for good"), 60_000)
  const model = await FakeProvider.start()
  const governance = await Governance.memory()
  const ask = (amount: string) => {
    model.next({ toolCalls: [{ name: "refund", arguments: { order: "A-17", amount } }] }, { text: "Done." })
    return answer(
      governance,
      `Give me ${amount} back.`,
      new OpenAIProvider({ apiKey: "none", baseURL: model.openAiUrl })
    )
  }
  const waiting = async (asked: Promise<string>) => {
    let isOver = false
    const over = () => {
      isOver = true
    }
    asked.then(over, over)
    for (;;) {
      const [listed] = await governance.gates.list({ agentId, which: "pending" })
      if (listed !== undefined) return listed.token ?? ""
      assert.ok(!isOver, "it was over before a person was asked")
      await sleep(20)
    }
  }
  try {
    await rules(governance)
    await ask("999.99")
    assert.deepEqual(paid, ["A-17 999.99"])
    const large = ask("1000.00")
    const token = await waiting(large)
    assert.deepEqual(paid, ["A-17 999.99"], "1000.00 was paid before a person agreed")
    await governance.gates.grant(token, { by: "rita@example.com", reason: "I have seen the order" })
    await large
    assert.deepEqual(paid, ["A-17 999.99", "A-17 1000.00"])
    const again = ask("1000.00")
    await governance.gates.deny(await waiting(again), { by: "rita@example.com", reason: "once is enough" })
    await again
    assert.deepEqual(paid, ["A-17 999.99", "A-17 1000.00"], "one approval paid twice")
    await governance.presence.halt(agentId, { by: "rita@example.com", reason: "smoke test" })
    const requests = model.requests.length
    await assert.rejects(ask("1.00"))
    assert.equal(model.requests.length, requests, "a halted agent asked its model")
    console.log("ok: 999.99 is paid at once; 1000.00 waits for a person, and one approval pays once")
  } finally {
    clearTimeout(hangs)
    await governance.close()
    await model.close()
  }
}

await (process.argv.includes("--smoke") ? smoke() : main())
