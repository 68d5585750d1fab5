import { execFileSync } from "node:child_process"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as PlatformStores from "../../src/layers/PlatformStores.ts"
import { WorkspaceId } from "../../src/schema/Workspace.ts"
import { WorkspaceStore } from "../../src/services/WorkspaceStore.ts"
import { read, root } from "../house/Tree.ts"
import { emptyDatabase, layerSql, TestDatabase } from "../support/database.ts"

describe("A platform in a program of one's own", () => {
  it("is shown in the guide as it runs (DEC-13, DOC-01)", () => {
    assert.strictEqual(
      read("docs/platform.md").match(/```ts\n(\/\/ A platform[\s\S]*?)```/)?.[1],
      read("examples/platform.ts")
    )
    const printed = execFileSync(process.execPath, ["--conditions=effect-governance-source", "examples/platform.ts"], {
      cwd: root,
      encoding: "utf8"
    })
    assert.deepStrictEqual(JSON.parse(printed), { accepted: 1, duplicates: 0, expected_seq: 2 })
  })
})

layer(emptyDatabase, { excludeTestServices: true, timeout: "60 seconds" })("Its stores on Postgres", (it) => {
  it.effect("need a migration by the owner and the URL of another role (DEC-13, PLT-11)", () =>
    Effect.gen(function* () {
      const { appRole, appUrl } = yield* TestDatabase
      const migrated = yield* Effect.provide(PlatformStores.migrate({ appRole }), layerSql("owner"), { local: true })
      assert.isAtLeast(migrated.length, 8)
      const pooled = PlatformStores.layerPostgres({ url: Redacted.make(Redacted.value(appUrl)), pooler: true })
      const id = WorkspaceId.make("own")
      const found = yield* Effect.gen(function* () {
        const store = yield* WorkspaceStore
        yield* store.create({ id, name: "Own", tier: "free" }, 0)
        return yield* store.find(id)
      }).pipe(Effect.provide(Layer.fresh(pooled), { local: true }))
      assert.deepStrictEqual(found, { id, name: "Own", tier: "free" })
    })
  )
})
