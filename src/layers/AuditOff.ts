import { Effect, Layer } from "effect"
import * as AuditFallback from "../services/AuditFallback.ts"
import { AuditStore } from "../services/AuditStore.ts"
import * as MemoryAudit from "./memory/AuditStore.ts"

/**
 * What `enableAudit: false` leaves of the log: the last events in this process's memory (ENT-06). Nothing is kept, and what an
 * earlier process left for the database stays where it is: a ring that forgets MUST NOT take it over.
 */
export const layer = Layer.effect(
  AuditStore,
  Effect.gen(function* () {
    yield* Effect.logWarning("audit.disabled", {
      effect: "the audit log is a ring in memory: it ends with this process and proves nothing; never in production"
    })
    const ring = yield* AuditStore
    // There is nothing to commit or to take back together with the change: the ring is no evidence.
    return AuditStore.of({ ...ring, appendInTransaction: ring.append })
  })
).pipe(
  Layer.provide(MemoryAudit.layerWith({ maxEvents: 10_000, onFull: "evict" })),
  Layer.merge(AuditFallback.layerMemory)
)
