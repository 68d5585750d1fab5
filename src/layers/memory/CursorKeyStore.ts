import { randomBytes } from "node:crypto"
import { Effect, Layer } from "effect"
import { CursorKeyStore } from "../../services/CursorKeyStore.ts"

/** A key that is gone with the process, and its cursors with it. */
export const make = Effect.sync(() => {
  const key = Uint8Array.from(randomBytes(32))
  return CursorKeyStore.of({ key: Effect.succeed(key) })
})

export const layer = Layer.effect(CursorKeyStore, make)
