import { httpStatusOf } from "effect-governance/promise"
import { governance } from "../../../lib/governance.js"

export const runtime = "nodejs"

export async function POST(request) {
  const { order, usd } = await request.json()
  try {
    const { governed } = await governance()
    const call = { agentId: "clerk", sessionId: `order-${order}`, tool: "refund", input: { order, usd }, maxUsd: usd }
    return Response.json(await governed(call, async () => ({ order, refunded: usd }), { signal: request.signal }))
  } catch (error) {
    const status = httpStatusOf(error)
    if (status === undefined) throw error
    return Response.json({ error: error._tag, message: error.message, hint: error.recoveryHint }, { status })
  }
}
