import { Effect, Layer, Result } from "effect"
import { Hex } from "effect/encoding"
import { StoreError } from "../../schema/StoreError.ts"
import { CursorKeyStore } from "../../services/CursorKeyStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** The key that the migration made, read once a process. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("CursorKeyStore")
  let known: Uint8Array | undefined

  const read = Effect.flatMap(ask("key", `SELECT encode(key, 'hex') FROM ${prefix}governance_cursor_key`), ([row]) => {
    const key = Result.getOrUndefined(Hex.decode(String(row?.[0] ?? "")))
    // Without it any cursor could be made up: better none is good.
    if (key?.length !== 32) {
      return Effect.fail(new StoreError({ store: "CursorKeyStore", operation: "key", problem: "integrity" }))
    }
    known = key
    return Effect.succeed(key)
  })

  return CursorKeyStore.of({
    key: Effect.suspend(() => (known === undefined ? read : Effect.succeed(known)))
  })
})

export const layer = Layer.effect(CursorKeyStore, make)
