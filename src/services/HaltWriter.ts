import { Context, Effect, Layer } from "effect"
import type { EventIdConflict, InvalidAuditEvent } from "../schema/AuditError.ts"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import { PresenceStore } from "./PresenceStore.ts"
import { StoreTransaction } from "./StoreTransaction.ts"

/**
 * Writes a halt, or its end, and the audit row that says so: both or neither. A service of its own, so that it can stand on a
 * connection that may do what the application's may not (CFG-31, V8-14).
 */
export class HaltWriter extends Context.Service<
  HaltWriter,
  {
    /** One transaction: the tree's row first, then the head of the agent's chain. No event means that nothing was changed. */
    readonly commit: <A>(
      change: (store: PresenceStore["Service"]) => Effect.Effect<A, StoreError>,
      event: (result: A) => AuditEventInput | undefined
    ) => Effect.Effect<A, StoreError | InvalidAuditEvent | EventIdConflict>
  }
>()("effect-governance/services/HaltWriter") {}

export const make = Effect.gen(function* () {
  const store = yield* PresenceStore
  const transaction = yield* StoreTransaction
  const audit = yield* Audit
  return HaltWriter.of({
    commit: (change, event) =>
      transaction.run(
        Effect.tap(change(store), (result) => {
          const row = event(result)
          return row === undefined ? Effect.void : audit.requireInTransaction(row)
        })
      )
  })
})

export const layer = Layer.effect(HaltWriter, make)
