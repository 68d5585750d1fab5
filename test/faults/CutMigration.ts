import { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Effect, Exit, type Redacted } from "effect"
import * as Doctor from "../../src/layers/postgres/Doctor.ts"
import { migrate } from "../../src/layers/postgres/Migrations.ts"
import { layerSql, TestDatabase } from "../support/database.ts"
import * as FaultProxy from "./FaultProxy.ts"

/** Migrates through a connection that is cut before the nth answer of the server; what is left is repaired by the next one. */
export const cutAt = Effect.fnUntraced(function* (nth: number) {
  const { appRole, ownerUrl } = yield* TestDatabase
  const proxy = yield* FaultProxy.make(ownerUrl)
  const once = (url: Redacted.Redacted<string>) =>
    Effect.provide(migrate({ appRole }), PgClient.layer({ url, maxConnections: 1, transformJson: false }), {
      local: true
    })
  yield* proxy.set({ cut: { message: "C", nth } })
  const cut = yield* Effect.exit(once(proxy.url))
  const reached = proxy.stats.cuts > 0
  if (reached && Exit.isFailure(cut)) assert.strictEqual(cut.cause.reasons[0]?._tag, "Fail", `statement ${nth}`)
  yield* once(ownerUrl)
  const findings = yield* Effect.provide(Doctor.examine(), layerSql("app"), { local: true })
  // The run's server forgets what a crash of the machine would cost it; that is said, and is not of the migration.
  const failed = findings.filter(({ message, status }) => status === "fail" && !durability.test(message))
  assert.deepStrictEqual(failed, [], `statement ${nth}`)
  return reached
}, Effect.scoped)

const durability = /fsync|synchronous_commit|full_page_writes/
