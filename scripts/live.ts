// Every module against a real Postgres and, with OPENAI_API_KEY, a real provider (TST-01). `npm run live` with
// GOVERNANCE_TEST_DATABASE_URL (an owner's connection; the tables go into a schema of their own, dropped at the end) and
// GOVERNANCE_TEST_AUDIT_SECRET (32 bytes or more). Neither has a fallback. Ends with 0, or with 1 at the first thing that is wrong.
import { PgClient } from "@effect/sql-pg"
import { Cause, Config, Console, Effect, Exit, Fiber, type Layer, Option, Redacted, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import {
  AgentScope,
  Audit,
  Compliance,
  Contracts,
  Cost,
  Gates,
  governed,
  governTool,
  Host,
  Loop,
  Policies,
  Presence,
  Pricing
} from "effect-governance"
import * as OpenAi from "effect-governance/openai"
import * as Postgres from "effect-governance/postgres"
import { FakeProvider } from "effect-governance/testing/FakeProvider"
import OpenAI from "openai"
import { migrate } from "../src/layers/postgres/Migrations.ts"

const agentId = "live-clerk"
const sessionId = `live-${crypto.randomUUID()}`
const schema = `governance_live_${crypto.randomUUID().slice(0, 8)}`

/** Says what holds, or ends the run. */
const check = (what: string, holds: boolean) =>
  holds ? Console.log(`ok    ${what}`) : Effect.fail(new Error(`not ok: ${what}`))

const refusal = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    const error = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none()
    return Option.match(error, { onNone: () => "nothing", onSome: ({ _tag }) => _tag })
  })

const model = "gpt-4o-mini"
const client = Effect.gen(function* () {
  const apiKey = yield* Config.option(Config.Redacted("OPENAI_API_KEY"))
  if (Option.isSome(apiKey)) return new OpenAI({ apiKey: Redacted.value(apiKey.value) })
  yield* Console.log("note  OPENAI_API_KEY is not set: a provider on loopback answers that is none")
  const provider = yield* Effect.acquireRelease(
    Effect.promise(() => FakeProvider.start({ text: "hello" })),
    (server) => Effect.promise(() => server.close())
  )
  return new OpenAI({ apiKey: "none", baseURL: provider.openAiUrl })
})

const audit = Effect.gen(function* () {
  const log = yield* Audit.Audit
  yield* log.require({ kind: "live.begun", agentId, sessionId })
  yield* check("audit: the chain verifies", yield* log.verifyChain({ sessionId }))
})

const scope = Effect.gen(function* () {
  const scopes = yield* AgentScope.AgentScope
  yield* scopes.register({ agentId, allowedTools: ["refund", "poll"], hiddenTools: ["secret"] })
  yield* check(
    "scope: what is listed passes",
    (yield* refusal(scopes.check(agentId, { tool: "refund" }))) === "nothing"
  )
  const outside = yield* refusal(scopes.check(agentId, { tool: "drop_table" }))
  yield* check("scope: what is not listed is refused", outside === "ScopeViolation")
})

const cost = Effect.gen(function* () {
  const costs = yield* Cost.Cost
  const pricing = yield* Pricing.Pricing
  yield* costs.register({ agentId, perSessionUsd: "1.00" })
  const { usd } = yield* pricing.price({ model: "gpt-4o-2024-05-13", inputTokens: 1000, outputTokens: 1000 })
  yield* check("pricing: 1,000 + 1,000 tokens of gpt-4o-2024-05-13 are $0.02", usd === 20_000_000n)
  yield* costs.trackUsage(agentId, sessionId, { model, inputTokens: 1000, outputTokens: 500 })
  const dear = yield* refusal(costs.checkOrFail(agentId, sessionId, { usd: "5.00" }))
  yield* check("cost: what is dearer than the budget is refused", dear === "BudgetExceeded")
  const unknown = yield* refusal(
    costs.trackUsage(agentId, sessionId, { model: "gpt-9", inputTokens: 1, outputTokens: 1 })
  )
  yield* check("pricing: a model without a price is refused", unknown === "UnknownModelError")
})

const wrapped = Effect.gen(function* () {
  const openai = yield* OpenAi.govern(yield* client, { agentId, sessionId })
  const costs = yield* Cost.Cost
  const before = (yield* costs.snapshot(agentId, sessionId)).state.sessionTokens
  const reply = yield* Effect.promise(() =>
    openai.chat.completions.create({ model, max_tokens: 20, messages: [{ role: "user", content: "Say hello." }] })
  )
  const after = (yield* costs.snapshot(agentId, sessionId)).state
  const used = BigInt(reply.usage?.total_tokens ?? 0)
  yield* check("wrapped call: charged what the provider reports", used > 0n && after.sessionTokens - before === used)
  yield* check("wrapped call: nothing is held any more", after.heldUsd === 0n)
  const models = yield* costs.modelBreakdown(agentId)
  yield* check(
    "cost: the breakdown by model knows it",
    [...models.keys()].some((name) => name.startsWith(model))
  )
})

const gates = Effect.gen(function* () {
  const service = yield* Gates.Gates
  yield* (yield* Presence.Presence).heartbeat(agentId, { operatorId: "operator@example.org" })
  let paid = 0
  const refund = governTool(
    { governance: yield* Host.make, agentId, sessionId, tool: "refund", approval: { required: true } },
    ({ usd }: { usd: number }) => (paid += usd)
  )
  const waiting = yield* Effect.forkChild(Effect.promise(() => refund({ usd: 1000 })))
  const cards = yield* Effect.repeat(service.list(), {
    until: (all) => all.length > 0,
    schedule: Schedule.spaced("50 millis")
  })
  yield* check("gates: nothing runs before a person has decided", paid === 0)
  yield* service.grant(cards[0]?.token ?? "", { by: "reviewer@example.org", reason: "live test" })
  yield* Fiber.join(waiting)
  yield* check("gates: what was granted ran once", paid === 1000)
})

const loop = Effect.gen(function* () {
  yield* (yield* Loop.Loop).register({ agentId, windowSeconds: 60, maxCalls: 3 })
  const poll = governed({ agentId, sessionId, tool: "poll" })(Effect.void)
  yield* Effect.repeat(poll, { times: 2 })
  yield* check("loop: the fourth call of three is refused", (yield* refusal(poll)) === "LoopDetected")
})

const contracts = Effect.gen(function* () {
  const service = yield* Contracts.Contracts
  yield* service.register({
    agentId,
    tool: "refund",
    pre: [{ check: "hitl_approved", message: "a person has to approve it" }]
  })
  const refund = governed({ agentId, sessionId, tool: "refund", input: { usd: 1 } })(Effect.void)
  yield* check("contracts: what must hold before is asked", (yield* refusal(refund)) === "ContractViolation")
})

const presence = Effect.gen(function* () {
  const service = yield* Presence.Presence
  yield* service.halt(agentId, { by: "operator@example.org", reason: "live test" })
  const halted = yield* refusal(governed({ agentId, sessionId, tool: "poll" })(Effect.void))
  yield* check("presence: a halted agent is stopped", halted === "AgentHaltedError")
  yield* service.resume(agentId, { by: "operator@example.org", reason: "live test" })
  yield* check("presence: and goes on when it is resumed", !(yield* service.isHalted(agentId)))
})

/** Another process, as far as the database can tell, registers a policy; this one hears of it. */
const hotReload = (other: Layer.Layer<Policies.Policies, unknown>) =>
  Effect.gen(function* () {
    const elsewhere = Effect.flatMap(Policies.Policies, (policies) =>
      Effect.andThen(policies.register("live-other", "scope", { allowedTools: ["poll"] }), Effect.sleep("1 second"))
    )
    yield* Effect.provide(elsewhere, other, { local: true })
    const scopes = yield* AgentScope.AgentScope
    const seen = yield* Effect.retry(scopes.check("live-other", { tool: "poll" }), {
      schedule: Schedule.spaced("200 millis"),
      times: 25
    }).pipe(Effect.isSuccess)
    yield* check("hot reload: a policy of another process arrives", seen)
  })

const report = Effect.gen(function* () {
  const compliance = yield* Compliance.Compliance
  const { sections } = yield* compliance.generateArticle12({ agentId, verifyChain: true })
  yield* check("report: seven sections for Article 12", sections.length === 7)
})

const required = (name: string) =>
  Effect.catch(Config.Redacted(name), () =>
    Effect.andThen(
      Console.error(`FATAL ${name} is not set, and it has no fallback`),
      Effect.fail(new Error("missing variable"))
    )
  )

const program = Effect.gen(function* () {
  const databaseUrl = yield* required("GOVERNANCE_TEST_DATABASE_URL")
  const auditSecret = yield* required("GOVERNANCE_TEST_AUDIT_SECRET")
  const sql = PgClient.layer({ url: databaseUrl, maxConnections: 1 })
  const drop = SqlClient.SqlClient.use((client) => client.unsafe(`DROP SCHEMA IF EXISTS ${schema} CASCADE`))
  yield* Effect.acquireRelease(Effect.provide(migrate({ schema }), sql), () => Effect.ignore(Effect.provide(drop, sql)))
  const layer = Postgres.layer({ databaseUrl, auditSecret, schema, hotReloadInterval: "500 millis", testMode: true })
  yield* Effect.all([audit, scope, cost, wrapped, gates, loop, presence, contracts, hotReload(layer), report]).pipe(
    Effect.scoped,
    Effect.provide(layer, { local: true })
  )
}).pipe(Effect.scoped)

const exit = await Effect.runPromiseExit(program)
if (Exit.isFailure(exit)) console.error(`FAILED ${Cause.pretty(exit.cause)}`)
process.exitCode = Exit.isSuccess(exit) ? 0 : 1
