import { createHmac, timingSafeEqual } from "node:crypto"
import { Context, Effect, Layer } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import type { WorkflowPlace } from "../schema/Workspace.ts"
import { CursorKeyStore } from "../services/CursorKeyStore.ts"

/** Where somebody who pages through a timeline is. Sealed: good for the workflow that it was given out for, and not made up (P-10). */
export class Cursors extends Context.Service<
  Cursors,
  {
    readonly seal: Effect.Effect<(place: WorkflowPlace, position: number) => string, StoreError>
    /** Null for a cursor that this platform has not given out for this workflow. */
    readonly open: (place: WorkflowPlace, cursor: string) => Effect.Effect<number | null, StoreError>
  }
>()("effect-governance/platform/Cursors") {}

export const make = Effect.gen(function* () {
  const store = yield* CursorKeyStore

  return Cursors.of({
    seal: Effect.map(store.key, (key) => (place, position) => `${position}.${macOf(key, place, position)}`),
    open: Effect.fnUntraced(function* (place, cursor) {
      if (cursor === "start") return 0
      const [position = "", mac = ""] = cursor.split(".")
      if (!/^(?:0|[1-9]\d{0,14})$/.test(position)) return null
      const [given, right] = [Buffer.from(mac), Buffer.from(macOf(yield* store.key, place, Number(position)))]
      return given.length === right.length && timingSafeEqual(given, right) ? Number(position) : null
    })
  })
})

export const layer = Layer.effect(Cursors, make)

// 128 bits; none of the parts can hold the separator.
const macOf = (key: Uint8Array, { workflow, workspace }: WorkflowPlace, position: number) =>
  createHmac("sha256", key)
    .update(`timeline/${workspace}/${workflow}/${position}`)
    .digest()
    .subarray(0, 16)
    .toString("base64url")
