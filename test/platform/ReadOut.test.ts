import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import { residencyNotes } from "../../src/schema/DataResidency.ts"
import { layerSql } from "../support/database.ts"
import { person, platform, send, tenant } from "./Serving.ts"

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("What a platform shows of events", (it) => {
  it.effect(
    "is a read-out: it can be looked at, and neither changed, deleted, held nor taken for evidence (PLT-10)",
    () =>
      Effect.gen(function* () {
        const { body } = yield* send("GET", "/openapi.json")
        const paths = Object.entries((body as { paths: Record<string, object> }).paths)
        // Events come in by ingest; everything else that is about them only reads.
        const about = paths.filter(([path]) =>
          /timeline|conflicts|events|evidence|export|report|retention|hold|prune/.test(path)
        )
        assert.deepStrictEqual(
          about.map(([path, methods]) => `${Object.keys(methods)} ${path.replace(/.*\//, "")}`).sort(),
          ["get conflicts", "get timeline", "post batch", "post events"]
        )
        // Nor could the server, if it were told to.
        const { workflow, workspace } = yield* tenant()
        yield* Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          for (const statement of [
            "DELETE FROM governance_platform.governance_events",
            "UPDATE governance_platform.governance_events SET metadata = '{}'",
            "TRUNCATE governance_platform.governance_events",
            "DELETE FROM governance_platform.governance_event_conflicts",
            "DELETE FROM governance_platform.governance_witness_alarms"
          ]) {
            const failed = sql.withTransaction(
              Effect.andThen(
                sql.unsafe("SELECT set_config('governance.workspace', $1, true)", [workspace]).values,
                sql.unsafe(statement).values
              )
            )
            assert.strictEqual(sqlState(yield* Effect.flip(failed)), "42501", statement)
          }
        }).pipe(Effect.provide(layerSql("app"), { local: true }))
        // And it says so: to people, to programs, and on no answer that it would keep anything.
        assert.include(
          residencyNotes.join(" "),
          "Evidence, and the duty to keep it, stay with the customer's own Postgres"
        )
        const { cookie } = yield* person(workspace, "viewer")
        const shown = yield* send("GET", `/api/v1/workspaces/${workspace}/workflows/${workflow}/timeline`, { cookie })
        assert.notMatch(JSON.stringify([shown.body, shown.headers]), /retain|retention|evidence|verified/i)
      })
  )
})
