import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { keptData } from "../../src/schema/DataResidency.ts"
import { read } from "../house/Tree.ts"
import { layerSql } from "../support/database.ts"
import { platform, send } from "./Serving.ts"

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("The data-residency page", (it) => {
  it.effect("names every table that the platform has, and the guide says the same (PLT-09, DOC-03)", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const tables = yield* sql<{ name: string }>`SELECT table_name::text AS name FROM information_schema.tables
        WHERE table_schema = 'governance_platform' AND table_name <> 'governance_migrations'`
      assert.deepStrictEqual(tables.map(({ name }) => name).sort(), keptData.map(({ table }) => table).sort())
      const page = yield* send("GET", "/data-residency")
      assert.strictEqual(page.status, 200)
      assert.match(String(page.headers["content-type"]), /text\/html/)
      const guide = read("docs/platform.md")
      const { kept } = (yield* send("GET", "/api/v1/data-residency")).body as { kept: ReadonlyArray<object> }
      assert.deepStrictEqual(
        kept,
        keptData.map(({ holds, kept, what }) => ({ what, holds, kept }))
      )
      for (const { holds, kept, what } of keptData) {
        assert.include(String(page.body), `<td>${what}</td>`)
        assert.include(guide, `| ${what} | ${holds} | ${kept} |`)
      }
    }).pipe(Effect.provide(layerSql("owner")))
  )
})
