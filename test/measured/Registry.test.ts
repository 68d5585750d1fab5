import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as LiveEnvironment from "../../src/cli/LiveEnvironment.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { reportHtml } from "../../src/schema/ReportHtml.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Compliance } from "../../src/services/Compliance.ts"
import { Coverage } from "../../src/services/Coverage.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { Wrappers } from "../../src/services/Wrappers.ts"
import { governance, memory as memoryEnvironment } from "../cli/InProcess.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { llmServer, post } from "./LlmServer.ts"

const auditSecret = "38b8b53befc08b03be1298b72c8efc894e319d11d3b30e4ea1bd8970e33da504"

/** One life of a program, over the runtime role's connection. */
const life =
  (host: string, options: GovernanceOptions = {}) =>
  <A, E>(self: Effect.Effect<A, E, Layer.Success<ReturnType<typeof Postgres.layer>>>) =>
    Effect.flatMap(TestDatabase, ({ appUrl }) =>
      Effect.provide(
        self,
        Layer.fresh(
          Postgres.layer({
            databaseUrl: appUrl,
            auditSecret,
            testMode: true,
            warnOnNoWrappers: false,
            enableCoverage: true,
            workspaceSalt: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU",
            coverageHosts: [host],
            auditDeadline: "10 seconds",
            enforcementDeadline: "10 seconds",
            ...options
          })
        ),
        { local: true }
      )
    )

const cli = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(TestDatabase, ({ appUrl }) =>
    governance(args, {
      env: { GOVERNANCE_DATABASE_URL: Redacted.value(appUrl), GOVERNANCE_AUDIT_SECRET: auditSecret }
    })
  )

describe("Coverage on Postgres", () => {
  layer(Layer.merge(LiveEnvironment.layer, freshDatabase), { excludeTestServices: true, timeout: "60 seconds" })(
    (it) => {
      it.effect(
        "before anybody measured, doctor and the command say that it is unknown, not that it is fine (COV-03)",
        () =>
          Effect.gen(function* () {
            assert.include((yield* cli("coverage")).out, "unknown: no program has run with enableCoverage")
            assert.match((yield* cli("doctor")).out, /ok {4}coverage +unknown/)
            assert.deepInclude(JSON.parse((yield* cli("coverage", "--json")).out), { coveragePct: null, instances: [] })
          })
      )

      it.effect(
        "a restart is another instance; the figure is over both, in the report, the commands and Article 12 (BEY-13, COV-02, CMP-04)",
        () =>
          Effect.gen(function* () {
            const { host, url } = yield* llmServer
            const calls = (governed: number, raw: number) =>
              Effect.gen(function* () {
                const coverage = yield* Coverage
                yield* (yield* Wrappers).register("openai", { sdkVersion: "7.57.0" })
                for (let i = 0; i < governed; i++) yield* Effect.promise(() => coverage.send(url, () => post(url)))
                for (let i = 0; i < raw; i++) yield* Effect.promise(() => post(url))
                return yield* coverage.report
              })
            const first = yield* life(host)(calls(7, 0))
            assert.deepInclude(first, { governed: 7, raw: 0, coveragePct: 1 })
            const second = yield* life(host)(calls(3, 2))
            assert.deepInclude(second, { governed: 10, raw: 2, coveragePct: 10 / 12 })
            assert.lengthOf(new Set(second.instances.map(({ instance }) => instance)), 2)
            assert.lengthOf(new Set(second.instances.map(({ machine }) => machine)), 1)

            const shown = yield* cli("coverage")
            assert.strictEqual(shown.code, 0)
            assert.match(shown.out, /coverage +83\.3 %/)
            assert.include(shown.out, "openai 7.57.0")
            const json = JSON.parse((yield* cli("coverage", "--json")).out)
            assert.deepInclude(json, { coveragePct: 10 / 12, coveragePctReason: "ok", governed: 10, raw: 2 })
            assert.lengthOf(json.instances, 2)
            assert.match((yield* cli("doctor")).out, /warn {2}coverage +83\.3 %: 2 of 12 calls/)

            yield* life(host)(
              Effect.gen(function* () {
                yield* (yield* Audit).log({ kind: "llm.call", agentId: "clerk" })
                const report = yield* (yield* Compliance).generateArticle12()
                assert.deepInclude(report, { coveragePct: 10 / 12, coveragePctReason: "ok" })
                assert.include(reportHtml(report), "83.3 %")
                const rows = yield* (yield* Audit).getEvents({ kinds: ["coverage.ungoverned_call"] })
                assert.lengthOf(rows, 1)
                yield* (yield* Audit).verifyChain()
              })
            )
            assert.match((yield* cli("report", "--format", "article12")).out, /Coverage \| 83\\?\.3 %/)

            // Neither the machine nor the host is anywhere in the database.
            const texts = yield* SqlClient.SqlClient.use(
              (sql) =>
                sql.unsafe(
                  "SELECT r::text FROM governance_wrapper_registrations r UNION ALL SELECT canonical FROM governance_audit_events"
                ).values
            ).pipe(Effect.provide(layerSql("owner"), { local: true }))
            assert.isAtLeast(texts.length, 4)
            assert.notInclude(JSON.stringify(texts), "127.0.0.1")
          })
      )

      it.effect(
        "a database that refuses connections stops neither the start, the calls nor the end (COV-03, INV-1)",
        () =>
          Effect.gen(function* () {
            const { host, url } = yield* llmServer
            const from = performance.now()
            const report = yield* Effect.gen(function* () {
              const coverage = yield* Coverage
              yield* Effect.promise(() => coverage.send(url, () => post(url)))
              yield* Effect.promise(() => post(url))
              return yield* coverage.report
            }).pipe(
              life(host, {
                databaseUrl: "postgres://app@127.0.0.1:9/app",
                auditDeadline: "1 second",
                enforcementDeadline: "1 second"
              })
            )
            assert.deepInclude(report, { governed: 1, raw: 1, complete: false })
            assert.isBelow(performance.now() - from, 20_000)
          })
      )
    }
  )
})

describe("A report over memory", () => {
  layer(memoryEnvironment)((it) => {
    it.effect("without a measurement says so (CMP-04)", () =>
      Effect.gen(function* () {
        const shown = yield* governance(["coverage"])
        assert.deepStrictEqual([shown.code, shown.err], [0, ""])
        assert.include(shown.out, "unknown: no program has run with enableCoverage")
      })
    )
  })
})
