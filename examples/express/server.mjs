// An Express application whose agent refunds orders: allowed tools, a budget, a person from 100 dollars on, and a halt switch.
// Without GOVERNANCE_DATABASE_URL it keeps everything in memory.

import { Governance, httpStatusOf } from "effect-governance/promise"
import express from "express"

const governance = process.env.GOVERNANCE_DATABASE_URL ? await Governance.start() : await Governance.memory()
await governance.scope.register({ agentId: "clerk", allowedTools: ["refund"] })
await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: 500 })
// Whoever operates an agent cannot approve what it does.
await governance.presence.heartbeat("clerk", { operatorId: "olga@example.org" })

const app = express()
app.use(express.json())

app.post("/refunds", async (request, response) => {
  const { order, usd } = request.body
  const gone = new AbortController()
  response.on("close", () => gone.abort(new Error("the client went away")))
  const call = {
    agentId: "clerk",
    sessionId: `order-${order}`,
    tool: "refund",
    input: { order, usd },
    maxUsd: usd,
    approval: { required: Number(usd) >= 100 }
  }
  const refunded = await governance.governed(call, (ticket) => refund(order, usd, ticket.signal), {
    signal: gone.signal
  })
  response.json(refunded)
})

app.get("/approvals", async (_request, response) => {
  const waiting = await governance.gates.list({ which: "pending" })
  response.json(waiting.map(({ gate, token }) => ({ tool: gate.kind, input: JSON.parse(gate.payload), token })))
})

app.post("/approvals", async (request, response) => {
  const { token, by, decision } = request.body
  response.json(await governance.gates[decision === "grant" ? "grant" : "deny"](token, { by }))
})

app.post("/halt", async (request, response) => {
  response.json(await governance.presence.halt("clerk", request.body))
})

app.get("/spent", async (_request, response) => {
  const { state } = await governance.cost.snapshot("clerk", null)
  response.json({ dollars: Number(state.dailyUsd) / 1e9 })
})

app.use((error, _request, response, next) => {
  const status = httpStatusOf(error)
  if (status === undefined || response.headersSent) return next(error)
  response.status(status).json({ error: error._tag, message: error.message, hint: error.recoveryHint })
})

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
})

// First no new requests, then the running ones end, then what waits to be written is written.
process.once("SIGTERM", () => {
  server.close()
  governance.close().then(() => console.log("closed"))
})

/** What moves the money. It takes a while, and stops when it is told to. */
async function refund(order, usd, signal) {
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 50)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
  return { order, refunded: usd }
}
