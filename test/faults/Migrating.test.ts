import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Doctor from "../../src/layers/postgres/Doctor.ts"
import { emptyDatabase, freshDatabase, layerSql } from "../support/database.ts"
import { cutAt } from "./CutMigration.ts"

describe("a migration whose connection breaks", () => {
  it.live("is rolled back or found done, and the next one completes it (F-15, DEC-16)", () =>
    Effect.gen(function* () {
      let statements = 0
      for (let nth = 1; nth < 400; nth += 55) {
        if (!(yield* Effect.provide(cutAt(nth), emptyDatabase, { local: true }))) break
        statements = nth
      }
      assert.isAbove(statements, 0)
    })
  )

  it.live("doctor tells a server that may lose commits from one that does not (F-12)", () =>
    Effect.gen(function* () {
      const findings = yield* Effect.provide(Doctor.examine(), layerSql("app"), { local: true })
      const [row] = yield* Effect.provide(
        Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe("SELECT current_setting('fsync')").values),
        layerSql("admin"),
        { local: true }
      )
      const said = findings.filter(({ message, status }) => status !== "ok" && message.includes("fsync"))
      assert.strictEqual(said.length > 0, row?.[0] === "off")
    }).pipe(Effect.provide(freshDatabase, { local: true }))
  )
})
