import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chains, inProcess, rows, tamper } from "../checkpoints/World.ts"
import { freshDatabase } from "../support/database.ts"

const breaks = Effect.map(chains, (report) => report.breaks.map(({ problem, seq }) => `${seq} ${problem}`))

describe("a page that went bad", () => {
  it.live("under the last row stops no append: the row is named, and what follows it holds (F-22, INV-1)", () =>
    Effect.gen(function* () {
      yield* inProcess()(rows("s", 3))
      yield* tamper(
        "UPDATE governance_audit_events SET canonical = replace(canonical, '\"v\":1', '\"v\":3') WHERE seq = 3"
      )
      yield* inProcess()(rows("s", 2))
      assert.deepStrictEqual(yield* inProcess()(breaks), ["3 text", "3 hash", "3 hmac"])
    }).pipe(Effect.provide(freshDatabase, { local: true }))
  )

  it.live("under the head of a chain shows at the row that was linked to it (F-22)", () =>
    Effect.gen(function* () {
      yield* inProcess()(rows("s", 3))
      yield* tamper("UPDATE governance_audit_chain_heads SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1)")
      yield* inProcess()(rows("s", 2))
      assert.deepStrictEqual(yield* inProcess()(breaks), ["4 link"])
    }).pipe(Effect.provide(freshDatabase, { local: true }))
  )
})
