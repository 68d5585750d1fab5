import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import * as AuditStorePg from "../../src/layers/postgres/AuditStore.ts"
import { examine } from "../../src/layers/postgres/Doctor.ts"
import { migrate } from "../../src/layers/postgres/Migrations.ts"
import { migrationFiles } from "../../src/layers/postgres/migrations.generated.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import { AgentId, agentChain, OperatorId, operatorChain, SessionId } from "../../src/schema/Ids.ts"
import { NanoUsd } from "../../src/schema/Money.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { Cost } from "../../src/services/Cost.ts"
import { governed } from "../../src/services/Governor.ts"
import { KeyRotation } from "../../src/services/KeyRotation.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { Presence } from "../../src/services/Presence.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import { Retention } from "../../src/services/Retention.ts"
import { draftIn } from "../../src/testing/AuditChains.ts"
import { exactly, request, spent } from "../../src/testing/StoreSet.ts"
import { until } from "../faults/Waiting.ts"
import { newSecret, to } from "../rotation/Processes.ts"
import { layerSql, migratedDatabase, TestDatabase } from "../support/database.ts"
import { storesOver } from "./AdmissionRig.ts"

const lastOld = 5
const oldDatabase = migratedDatabase({
  name: "until_0005",
  run: ({ appRole }) => migrate({ appRole, files: migrationFiles.filter(({ id }) => id <= lastOld) })
})

const auditSecret = newSecret()
const [clerk, temp] = [AgentId.make("clerk"), AgentId.make("temp")]

/** A process from the time of migration 5, which knows nothing of what came later. */
const oldProcess = AuditStorePg.layer.pipe(
  Layer.provideMerge(storesOver()),
  Layer.provideMerge(ChainKeys.layer({ secret: Redacted.make(auditSecret), ephemeralAllowed: false }))
)

const append = (session: string, count: number) =>
  AuditStore.use((store) =>
    Effect.forEach(Array.from({ length: count }), () => store.append(draftIn(SessionId.make(session))), {
      discard: true
    })
  )

/** What such a deployment leaves: three chains and the operators', policies, a halt, a call that is paid and one that hangs. */
const history = Effect.gen(function* () {
  const { append: appendOne } = yield* AuditStore
  const { halt, enrol } = yield* PresenceStore
  const policies = yield* PolicyStore
  const admission = yield* AdmissionStore
  yield* append("s1", 40)
  yield* append("s2", 7)
  for (const chain of [agentChain(clerk), operatorChain]) {
    yield* appendOne({ ...draftIn(SessionId.make("none")), chain, session: null, agent: clerk })
  }
  yield* enrol(clerk, null)
  yield* enrol(temp, clerk)
  yield* halt({ agentId: temp, haltedBy: OperatorId.make("ada"), reason: "an old halt" })
  const scope = { allowedTools: ["search"], allowedApis: [], hiddenTools: [] }
  yield* policies.put({ agentId: clerk, kind: "scope", body: scope, source: "operator" })
  yield* policies.put({ agentId: clerk, kind: "budget", body: { perAgentUsdDaily: "1" }, source: "code" })
  const paid = request(clerk, { hold: exactly(5_000_000n, 10n) })
  yield* admission.admit(paid)
  yield* admission.settle(clerk, paid.ticket, spent(250_000_000n, 10n))
  yield* admission.admit(request(clerk, { hold: exactly(3_000_000n, 1n), leaseMs: 1 }))
})

const current = (role: "app" | "owner") =>
  Effect.provide(
    Layer.unwrap(
      Effect.map(TestDatabase, ({ appUrl, ownerUrl }) =>
        Postgres.layer({
          databaseUrl: role === "app" ? appUrl : ownerUrl,
          auditSecret,
          checkpointKey: "4f8d1e7a".repeat(8),
          testMode: true
        })
      )
    ),
    { local: true }
  )

const sqlAs = (role: "app" | "owner") => Effect.provide(layerSql(role), { local: true })
const refused = (text: string) =>
  SqlClient.SqlClient.use((sql) => Effect.map(Effect.flip(sql.unsafe(text).unprepared), sqlState))
const upgrade = Effect.flatMap(TestDatabase, ({ appRole }) => migrate({ appRole })).pipe(sqlAs("owner"))

describe("a database of migration 5 with a history", () => {
  it.live(
    "is brought to the head under a process that goes on writing; every row verifies and is covered (MIG-06)",
    () =>
      Effect.gen(function* () {
        yield* Effect.gen(function* () {
          yield* history
          const ran = yield* upgrade
          assert.strictEqual(ran.length, migrationFiles.length - lastOld)
          // Deployed in this order, old processes live on for a while.
          yield* append("s1", 2)
          yield* append("s3", 1)
        }).pipe(Effect.provide(oldProcess, { local: true }))

        yield* Effect.gen(function* () {
          const audit = yield* Audit
          const { make, examine } = yield* Checkpoints
          yield* append("s1", 1)
          const report = yield* audit.report()
          assert.deepInclude(report, { verdict: "ok", breaks: [], unresolvedKeyIds: [] })
          const rows = new Map(report.chains.map((one) => [String(one.chain), one.rows]))
          assert.deepStrictEqual([rows.get("session:s1"), rows.get("session:s2"), rows.get("session:s3")], [43, 7, 1])
          yield* make
          const { coveredChains, verdict } = yield* examine()
          assert.deepStrictEqual([verdict, coveredChains], ["ok", report.chains.length])
        }).pipe(current("app"))

        yield* Effect.gen(function* () {
          const retention = yield* Retention
          const rotated = yield* KeyRotation.use((rotation) => rotation.rotate(to(newSecret())))
          assert.strictEqual(rotated.version, 2)
          const { pruned } = yield* retention.prune({
            olderThan: Duration.millis(1),
            chain: "session:s1",
            allowShorter: true,
            by: "ann"
          })
          assert.deepStrictEqual(
            pruned.map((one) => one.rows),
            [43]
          )
          assert.deepInclude(yield* Audit.use((audit) => audit.report()), { verdict: "ok", breaks: [] })
          assert.deepInclude(yield* Checkpoints.use(({ examine }) => examine()), { verdict: "ok", findings: [] })
        }).pipe(current("owner"))
      }).pipe(Effect.provide(oldDatabase, { local: true }))
  )

  it.live("keeps its policies, its halt, what was spent and what hangs, and works on with them (MIG-06, BEY-06)", () =>
    Effect.gen(function* () {
      yield* Effect.provide(history, oldProcess, { local: true })
      yield* upgrade
      yield* Effect.gen(function* () {
        const presence = yield* Presence
        const call = (agentId: string, tool: string) => Effect.void.pipe(governed({ agentId, tool }))
        yield* call("clerk", "search")
        assert.strictEqual((yield* Effect.flip(call("clerk", "delete")))._tag, "ScopeViolation")
        assert.strictEqual((yield* Effect.flip(call("temp", "search")))._tag, "AgentHaltedError")
        assert.isTrue(yield* presence.isHalted("temp"))
        yield* presence.resume("temp", { by: "ada" })
        assert.isFalse(yield* presence.isHalted("temp"))
        const store = yield* AuditStore
        yield* until(Effect.map(store.find({ kinds: ["call.orphaned"] }), (rows) => rows.length === 1))
        // A quarter of a dollar was paid; of the call that hangs nobody knows, so what was held is charged.
        const { agentDailyUsdRemaining } = yield* Cost.use((cost) => cost.snapshot("clerk", null))
        assert.strictEqual(agentDailyUsdRemaining, NanoUsd.make(1_000_000_000n - 253_000_000n))
      }).pipe(current("app"))
    }).pipe(Effect.provide(oldDatabase, { local: true }))
  )

  it.live("takes rows and lets none go, old and new, and doctor finds nothing (A-18, A-19, INV-2)", () =>
    Effect.gen(function* () {
      yield* Effect.provide(history, oldProcess, { local: true })
      yield* upgrade
      const events = "governance_audit_events"
      for (const text of [`UPDATE ${events} SET kind = 'x'`, `DELETE FROM ${events}`, `TRUNCATE ${events}`]) {
        assert.strictEqual(yield* refused(text).pipe(sqlAs("owner")), "GV003", text)
        assert.strictEqual(yield* refused(text).pipe(sqlAs("app")), "42501", text)
      }
      const found = yield* examine().pipe(sqlAs("app"))
      assert.deepStrictEqual(
        found.filter(({ status }) => status === "fail"),
        []
      )
    }).pipe(Effect.provide(oldDatabase, { local: true }))
  )
})
