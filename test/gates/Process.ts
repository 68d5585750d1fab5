import { type Context, Effect, Exit, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import type { CallOptions } from "../../src/schema/CallPlan.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { layerSql, TestDatabase } from "../support/database.ts"

const auditSecret = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"
type Services = Layer.Success<ReturnType<typeof Postgres.layer>>

/** Governance as a process of its own has it; it ends with the scope. A slow machine must not turn a race into a missed deadline. */
export const processOn = Effect.fnUntraced(function* (options: GovernanceOptions = {}) {
  const { appUrl } = yield* TestDatabase
  const all = { databaseUrl: appUrl, auditSecret, testMode: true, warnOnNoWrappers: false }
  return yield* Layer.build(Layer.fresh(Postgres.layer({ ...all, enforcementDeadline: "20 seconds", ...options })))
})

export const inside =
  <R extends Services>(context: Context.Context<R>) =>
  <A, E>(self: Effect.Effect<A, E, R>) =>
    Effect.provide(self, context)

export const prepare = (agentId: string) =>
  Effect.gen(function* () {
    yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
    yield* (yield* Presence).heartbeat(agentId, { operatorId: "olga" })
    yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"] })
  })
export const pay = (agentId: string, more: object = {}): CallOptions => ({
  ...{ agentId, sessionId: `s-${agentId}`, tool: "pay", input: { usd: "5" } },
  ...more
})
export const noWait = { approval: { wait: false } }
export const grant = (agentId: string, by = "rita") =>
  Effect.gen(function* () {
    const gates = yield* Gates
    const [card] = yield* gates.list({ agentId })
    return yield* gates.grant(card?.token ?? "", { by })
  })
export const problem = (exit: Exit.Exit<unknown, unknown>) => {
  const error: unknown = Exit.isFailure(exit) ? exit.cause.reasons.find((one) => one._tag === "Fail")?.error : undefined
  if (typeof error !== "object" || error === null || !("_tag" in error)) return "none"
  return "problem" in error ? `${String(error._tag)} ${String(error.problem)}` : String(error._tag)
}
export const admin = (text: string) =>
  Effect.provide(
    SqlClient.SqlClient.use((sql) => sql.unsafe(text).values),
    layerSql("admin", { maxConnections: 1 }),
    { local: true }
  )
