import { Clock, Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import { EventId } from "../schema/Ids.ts"
import type { JsonObject } from "../schema/Json.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import { StoreError } from "../schema/StoreError.ts"
import { AuditStore } from "./AuditStore.ts"

/** Writes a row of chain `operator` inside `StoreTransaction.run`: acts that belong to no agent (DEC-05). */
export const make = Effect.gen(function* () {
  const store = yield* AuditStore
  const random = yield* SecureRandom.SecureRandom
  return Effect.fnUntraced(function* (kind: string, metadata: JsonObject, id?: EventId) {
    const result = yield* store.appendInTransaction(
      operatorDraft(id ?? EventId.make(yield* random.uuidV7()), yield* Clock.currentTimeMillis, kind, metadata)
    )
    if (result._tag === "Stored") return result.row
    return yield* new StoreError({ store: "AuditStore", operation: "appendInTransaction", problem: "integrity" })
  })
})
