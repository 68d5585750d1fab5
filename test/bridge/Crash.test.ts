import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import { Audit } from "../../src/services/Audit.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { scripted, served } from "./Platform.ts"
import { auditSecret, startWorker } from "./WorkerProcess.ts"
import { token } from "./World.ts"

describe("a process with the bridge's queue that is killed", () => {
  it.live(
    "loses at most what was queued or under way, here loses nothing, and the next process goes on (BRG-12, BRG-05, INV-6)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const sql = yield* SqlClient.SqlClient
        let hangs = false
        const platform = scripted(() => (hangs ? "hang" : undefined))
        const port = yield* served(platform)
        const logged = new Set<string>()
        const start = (name: string) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              const child = startWorker(appUrl, [name, `${port}`, "yes", token, "queue"])
              child.on("message", (told: { readonly logged?: string; readonly status?: string }) => {
                if (told.logged !== undefined && told.status === "stored") logged.add(told.logged)
              })
              return child
            }),
            (child) => Effect.sync(() => void child.kill("SIGKILL"))
          )
        const until = (is: () => boolean) =>
          Effect.gen(function* () {
            for (let i = 0; i < 1_200; i++) {
              if (is()) return
              yield* Effect.sleep(25)
            }
            assert.fail("never happened")
          })

        const first = yield* start("first")
        yield* until(() => platform.events.size >= 50)
        hangs = true
        const atHang = logged.size
        yield* until(() => logged.size >= atHang + 200)
        first.kill("SIGKILL")
        yield* until(() => first.signalCode !== null)
        const told = new Set(logged)
        hangs = false
        const arrived = platform.events.size

        const rows = yield* sql<{ readonly id: string }>`SELECT id::text AS id FROM governance_audit_events`
        const here = new Set(rows.map(({ id }) => id))
        assert.deepStrictEqual(
          [...told].filter((id) => !here.has(id)),
          []
        )
        const missing = [...here].filter((id) => !platform.events.has(id))
        assert.isAtLeast(missing.length, 100)
        assert.isAtMost(missing.length, 1_000 + 100)

        yield* start("second")
        yield* until(() => platform.events.size >= arrived + 20)
        assert.lengthOf([...platform.expected.keys()], 2)
        const verified = Audit.use((audit) => audit.verifyChain())
        const governance = Postgres.layer({ databaseUrl: appUrl, auditSecret, testMode: true, warnOnNoWrappers: false })
        assert.isTrue(yield* Effect.provide(verified, governance, { local: true }))
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layerSql("owner"), freshDatabase), { local: true })),
    120_000
  )
})
