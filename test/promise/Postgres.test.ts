import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import {
  AgentHaltedError,
  BudgetExceeded,
  Governance,
  GovernanceClosed,
  StoreError
} from "../../src/promise/Governance.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"

const auditSecret = "Zx8!pQ2#vL9$wR4%tY7&uB1*nM5(kJ3)"
const call = { agentId: "clerk", sessionId: "s1", tool: "refund" }

const url = Effect.map(TestDatabase, ({ appUrl }) => Redacted.value(appUrl))
const withDatabase = (use: (databaseUrl: string) => Promise<void>) =>
  Effect.flatMap(url, (databaseUrl) => Effect.promise(() => use(databaseUrl)))

const open = async (databaseUrl: string, agentId = "clerk") => {
  const governance = await Governance.start({ databaseUrl, auditSecret, warnOnNoWrappers: false })
  await governance.scope.register({ agentId, allowedTools: ["refund"] })
  return governance
}
const kinds = async (governance: Governance, sessionId: string) => {
  const rows = await governance.audit.getEvents({ sessionId, limit: 10_000 })
  const counts: Record<string, number> = {}
  for (const { kind } of rows) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

describe("the Promise facade on Postgres", () => {
  layer(freshDatabase)((it) => {
    it.effect("holds one budget for two of them, and one halts what runs in the other (BEY-01, BEY-05)", () =>
      withDatabase(async (databaseUrl) => {
        await using one = await open(databaseUrl, "spender")
        await using two = await open(databaseUrl, "spender")
        await one.cost.register({ agentId: "spender", perAgentUsdDaily: 10 })
        await one.policies.stored(["spender"])
        await two.policies.reload()
        const results = await Promise.allSettled(
          Array.from({ length: 32 }, (_, n) =>
            (n % 2 === 0 ? one : two).governed({ ...call, agentId: "spender", maxUsd: 1 }, () => sleep(2))
          )
        )
        const refused = results.filter((result) => result.status === "rejected")
        assert.lengthOf(refused, 22)
        assert.deepStrictEqual(
          refused.map(({ reason }) => reason).filter((reason) => !(reason instanceof BudgetExceeded)),
          []
        )
        await one.scope.register({ agentId: "runner", allowedTools: ["refund"] })
        let reason: unknown
        const running = one
          .governed({ ...call, agentId: "runner" }, ({ signal }) => {
            signal.addEventListener("abort", () => {
              reason = signal.reason
            })
            return sleep(20_000, undefined, { signal })
          })
          .catch((error) => error)
        await sleep(100)
        await two.presence.halt("runner", { by: "ada", reason: "stop" })
        assert.instanceOf(await running, AgentHaltedError)
        assert.instanceOf(reason, AgentHaltedError)
        await two.presence.resume("runner", { by: "ada" })
      })
    )

    it.effect("waits in one process for what a person grants in another (GAT-03, BEY-10)", () =>
      withDatabase(async (databaseUrl) => {
        await using agent = await open(databaseUrl, "asker")
        await using desk = await open(databaseUrl, "asker")
        await agent.presence.heartbeat("asker", { operatorId: "olga" })
        const waiting = agent.governed(
          { ...call, agentId: "asker", sessionId: "gate", approval: { required: true } },
          () => "ran"
        )
        let token: string | null | undefined
        while (token === undefined) token = (await desk.gates.list({ which: "pending" }))[0]?.token
        await desk.gates.grant(token ?? "", { by: "rita" })
        assert.strictEqual(await waiting, "ran")
      })
    )

    it.effect(
      "loses no event when it is closed under load: who was told of success finds both rows (ENT-12, AUD-01)",
      () =>
        withDatabase(async (databaseUrl) => {
          const governance = await open(databaseUrl, "worker")
          let started = 0
          const calls: Array<Promise<unknown>> = []
          const load = (async () => {
            while (!governance.closed) {
              for (let n = 0; n < 20; n++) {
                calls.push(
                  governance
                    .governed({ ...call, agentId: "worker", sessionId: "load" }, async () => {
                      started++
                      await sleep(5)
                      return "ok"
                    })
                    .catch((error) => error)
                )
              }
              await sleep(2)
            }
          })()
          await sleep(400)
          await governance.close()
          await load
          const results = await Promise.all(calls)
          const ok = results.filter((result) => result === "ok").length
          assert.isAbove(ok, 50)
          const others = results.filter((result) => result !== "ok")
          assert.deepStrictEqual(
            others.filter((error) => !(error instanceof GovernanceClosed) && !(error instanceof StoreError)),
            []
          )
          await using after = await open(databaseUrl, "worker")
          const found = await kinds(after, "load")
          assert.strictEqual(found["tool.result"], started)
          assert.isAtLeast(found["tool.call"] ?? 0, started)
          assert.isAtLeast(started, ok)
          assert.isTrue(await after.audit.verifyChain())
          assert.strictEqual((await after.audit.report()).verdict, "ok")
        })
    )

    it.effect("rejects a call while the database is away, and keeps events meanwhile (INV-1, RES-02)", () =>
      withDatabase(async (databaseUrl) => {
        const away = databaseUrl.replace(/:\d+\//, ":1/")
        await using governance = await open(away)
        const error = await governance.governed(call, () => assert.fail("it ran")).catch((reason) => reason)
        assert.instanceOf(error, StoreError)
        assert.strictEqual(error.problem, "unreachable")
        assert.strictEqual((await governance.audit.log({ kind: "k", agentId: "clerk" })).status, "spooled")
      })
    )
  })
})
