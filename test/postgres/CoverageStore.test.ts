import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as CoverageStore from "../../src/layers/postgres/CoverageStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import * as CoverageStoreSuite from "../../src/testing/CoverageStoreSuite.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))
const run = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).values)
const as = (role: "owner" | "app") => Effect.provide(layerSql(role), { local: true })

/** The trigger stands in the way of the owner too, who can take it away and shows that by it. */
const backdate = (days: number) =>
  Effect.gen(function* () {
    const table = "ALTER TABLE governance_wrapper_registrations"
    yield* run(`${table} DISABLE TRIGGER USER`)
    yield* run(`UPDATE governance_wrapper_registrations SET last_seen = last_seen - interval '${days} days'`)
    yield* run(`${table} ENABLE ALWAYS TRIGGER governance_refuse_spoofing`)
    yield* run(`${table} ENABLE ALWAYS TRIGGER governance_refuse_truncate`)
  }).pipe(as("owner"))

CoverageStoreSuite.suite(
  "Postgres",
  Layer.merge(
    CoverageStore.layer.pipe(Layer.provide(database)),
    Layer.effectContext(Effect.context<TestDatabase>())
  ).pipe(Layer.provide(freshDatabase)),
  { clock: "database", age: backdate }
)

const report = (instance: string, proof: string, governed: number, calls: number, machine = "ab") =>
  `SELECT governance_report_wrappers('${instance}', decode(repeat('${proof}', 32), 'hex'), repeat('${machine}', 32),
    ${governed}, ${calls}, '[]', '[]')`
const [mine, theirs] = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]

layer(freshDatabase, { excludeTestServices: true })("The registry of wrappers", (it) => {
  it.effect("the runtime role writes it through its function alone (COV-01, A-17)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(report(mine, "01", 1, 2)), [[true]])
      const attempts = [
        `INSERT INTO governance_wrapper_registrations
           SELECT gen_random_uuid(), proof, machine, registered_by, started_at, last_seen, 9, 9, wrappers, hosts
             FROM governance_wrapper_registrations`,
        "UPDATE governance_wrapper_registrations SET governed = calls",
        "DELETE FROM governance_wrapper_registrations",
        "TRUNCATE governance_wrapper_registrations",
        "ALTER TABLE governance_wrapper_registrations DISABLE TRIGGER ALL"
      ]
      for (const attempt of attempts) assert.strictEqual(sqlState(yield* Effect.flip(run(attempt))), "42501", attempt)
    }).pipe(as("app"))
  )

  it.effect("the runtime role cannot speak for another instance, nor for the past or the future (COV-01)", () =>
    Effect.gen(function* () {
      yield* run(report(theirs, "01", 1, 5))
      assert.deepStrictEqual(yield* run(report(theirs, "02", 5, 5)), [[false]])
      assert.deepStrictEqual(yield* run(report(theirs, "01", 5, 5, "cd")), [[false]])
      // What is readable of the proof is not the proof.
      const [row] = yield* run(
        `SELECT encode(proof, 'hex') FROM governance_wrapper_registrations WHERE instance = '${theirs}'`
      )
      const read = report(theirs, "01", 5, 5).replace("repeat('01', 32), 'hex')", `'${row?.[0]}', 'hex')`)
      assert.deepStrictEqual(yield* run(read), [[false]])
      assert.deepStrictEqual(
        yield* run(`SELECT governed, calls, registered_by, now() - last_seen < interval '1 minute'
          FROM governance_wrapper_registrations WHERE instance = '${theirs}'`),
        [[1n, 5n, (yield* run("SELECT session_user::text"))[0]?.[0], true]]
      )
      const short = report(theirs, "01", 1, 5).replace("decode(repeat('01', 32), 'hex')", "''::bytea")
      assert.strictEqual(sqlState(yield* Effect.flip(run(short))), "22023")
      assert.strictEqual(sqlState(yield* Effect.flip(run(report(theirs, "01", 6, 5)))), "23514")
    }).pipe(as("app"))
  )

  it.effect("the trigger holds the owner to the same: identity, counts, times and the 30 days (COV-01, COV-02)", () =>
    Effect.gen(function* () {
      yield* run(report(mine, "01", 1, 2))
      const where = `WHERE instance = '${mine}'`
      for (const set of [
        "machine = repeat('00', 32)",
        "proof = sha256('x')",
        "registered_by = 'mallory'",
        "started_at = started_at - interval '1 day'",
        "calls = 1",
        "governed = 0",
        "instance = gen_random_uuid()"
      ]) {
        const error = yield* Effect.flip(run(`UPDATE governance_wrapper_registrations SET ${set} ${where}`))
        assert.strictEqual(sqlState(error), "GV020", set)
      }
      const gone = yield* Effect.flip(run(`DELETE FROM governance_wrapper_registrations ${where}`))
      assert.strictEqual(sqlState(gone), "GV020")
      assert.strictEqual(sqlState(yield* Effect.flip(run("TRUNCATE governance_wrapper_registrations"))), "GV003")
      // A time that is given is not the one that is written.
      yield* run(`UPDATE governance_wrapper_registrations SET last_seen = 'infinity' ${where}`)
      assert.deepStrictEqual(
        yield* run(`SELECT last_seen <= governance_now() FROM governance_wrapper_registrations ${where}`),
        [[true]]
      )
    }).pipe(as("owner"))
  )
})
