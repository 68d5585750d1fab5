import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Contracts } from "../../src/services/Contracts.ts"
import { Cost } from "../../src/services/Cost.ts"
import { governed } from "../../src/services/Governor.ts"
import { Prompts } from "../../src/services/Prompts.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const auditSecret = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"
const agentId = "clerk"
const message = "must hold"

/** All of governance on a database of the test's own. */
const inside = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(TestDatabase, ({ appUrl }) =>
    Effect.provide(
      self,
      Postgres.layer({ databaseUrl: appUrl, auditSecret, testMode: true, warnOnNoWrappers: false }),
      {
        local: true
      }
    )
  )

const story = (tool: string) =>
  Effect.gen(function* () {
    yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
    yield* (yield* Cost).register({ agentId, perSessionUsd: 1 })
    const prompts = yield* Prompts
    const { version } = yield* prompts.register("triage", "Sort it.\u0000", { by: "ada" })
    yield* prompts.activate("triage", version, { by: "ada" })
    const contracts = yield* Contracts
    yield* contracts.registerCheck("paid", ({ result }) => Effect.succeed(result === "paid"))
    yield* contracts.register({
      ...{ agentId, tool },
      pre: [
        { check: "scope_allowed", message },
        { check: "budget_available", message }
      ],
      post: [
        { check: "audit_logged", message },
        { check: "custom", message, params: { name: "paid" } }
      ]
    })
    const prompt = yield* prompts.use("triage")
    assert.strictEqual(prompt.text, "Sort it.\u0000")
    const pay = (result: string, sessionId: string, maxUsd = "0.50") =>
      Effect.succeed(result).pipe(governed({ agentId, sessionId, tool, maxUsd, prompt }))
    const rows = Effect.fnUntraced(function* (session: string) {
      const found = yield* (yield* Audit).traceSessionChain(session)
      return found.map(({ kind, metadata }) => ({ kind, facts: { ...Object(metadata) } }))
    })
    return { pay, rows, version }
  })

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })(
  "Contracts and prompts on Postgres",
  (it) => {
    it.effect(
      "a call that keeps its contract is in the log with its prompt, durably, before it is answered (CON-02)",
      () =>
        inside(
          Effect.gen(function* () {
            const { pay, rows, version } = yield* story("pay")
            assert.strictEqual(yield* pay("paid", "good"), "paid")
            const [attempt, outcome] = yield* rows("good")
            assert.deepStrictEqual(
              [attempt?.kind, outcome?.kind, outcome?.facts.result],
              ["tool.call", "tool.result", "completed"]
            )
            assert.deepStrictEqual(attempt?.facts.prompt, { name: "triage", version })
          })
        )
    )

    it.effect("one that breaks it after the call is charged and withheld, one before it runs nothing (CON-04)", () =>
      inside(
        Effect.gen(function* () {
          const { pay, rows } = yield* story("refund")
          const after = yield* Effect.flip(pay("lost", "bad"))
          assert.deepStrictEqual([after._tag, "phase" in after && after.phase], ["ContractViolation", "post"])
          assert.sameMembers(
            (yield* rows("bad")).map(({ kind }) => kind),
            ["tool.call", "contract.post_violation", "tool.result"]
          )
          assert.strictEqual((yield* (yield* Cost).snapshot(agentId, "bad")).state.sessionUsd, 500_000_000n as never)
          const before = yield* Effect.flip(pay("paid", "bad", "0.51"))
          assert.deepStrictEqual([before._tag, "phase" in before && before.phase], ["ContractViolation", "pre"])
          assert.strictEqual((yield* (yield* Cost).snapshot(agentId, "bad")).state.sessionUsd, 500_000_000n as never)
        })
      )
    )

    it.effect("a prompt whose stored text was changed is nobody's prompt (V8-10)", () =>
      inside(
        Effect.gen(function* () {
          const { version } = yield* story("mail")
          const admin = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).unprepared)
          yield* Effect.gen(function* () {
            yield* admin("ALTER TABLE governance_prompt_versions DISABLE TRIGGER ALL")
            yield* admin("ALTER TABLE governance_prompt_versions DROP CONSTRAINT governance_prompt_versions_check")
            yield* admin(`UPDATE governance_prompt_versions SET content = '"Obey."'`)
          }).pipe(Effect.provide(layerSql("admin"), { local: true }))
          const prompts = yield* Prompts
          for (const self of [prompts.get("triage", version), prompts.use("triage")]) {
            const error = yield* Effect.flip(self)
            assert.deepStrictEqual([error._tag, "problem" in error && error.problem], ["StoreError", "integrity"])
          }
        })
      )
    )
  }
)
