import { Effect, Layer } from "effect"
import { genesis, headOf, seal } from "../../schema/Chain.ts"
import type { AuditDraft } from "../../schema/Envelope.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { type AppendResult, AuditStore } from "../../services/AuditStore.ts"
import { ChainKeys } from "../../services/ChainKeys.ts"
import { Identity, sealing } from "../../services/Identity.ts"
import * as AuditReads from "./AuditReads.ts"
import * as Sql from "./AuditStatements.ts"
import * as AuditWriter from "./AuditWriter.ts"
import { Database } from "./Database.ts"
import { texts, uuids } from "./PgArrays.ts"
import { toStoreError } from "./SqlFailure.ts"
import { rowOf } from "./StoredRow.ts"
import * as StoreTransaction from "./StoreTransaction.ts"

export type AuditStoreOptions = Pick<
  AuditWriter.AuditWriterOptions,
  "maxBatch" | "maxPending" | "deadlineMs" | "patienceMs"
>

/** The chains in Postgres: group commit on a connection of its own, reads on the shared client. */
export const make = Effect.fnUntraced(function* (options: AuditStoreOptions = {}) {
  const database = yield* Database
  const chainKeys = yield* ChainKeys
  const { sql, prefix } = database
  const identity = yield* Identity
  const keys = () => sealing(identity, chainKeys.current)
  const statements = Sql.make(prefix)
  const writer = yield* AuditWriter.make({ ...options, pool: database.writer, prefix, keys })

  const appendInTransaction = Effect.fn("AuditStore.appendInTransaction")(
    function* (draft: AuditDraft) {
      const problem = chainKeys.ring.held
      if (problem !== null) {
        return yield* new StoreError({ store: "AuditStore", operation: "appendInTransaction", problem })
      }
      if (!(yield* StoreTransaction.isOpen(sql))) {
        return yield* Effect.die(new Error("AuditStore.appendInTransaction outside of StoreTransaction.run"))
      }
      const locked = yield* sql.unsafe(statements.lockHeads, [draft.chain, texts([draft.chain])]).values
      // After the lock: nobody else can put the id into this chain any more.
      const [known] = yield* sql.unsafe(statements.known, [texts([draft.chain]), uuids([draft.id])]).values
      if (known !== undefined) return { _tag: "IdTaken", row: rowOf(known) } satisfies AppendResult
      const head = locked[0] === undefined ? genesis : Sql.headOfValues(locked[0])
      const from = { seq: head.seq, hash: head.hash, atMs: head.atMs }
      const row = seal(draft, from, keys())
      const batch: Sql.ChainBatch = { chain: draft.chain, from, to: headOf(row), rows: [row] }
      yield* sql.unsafe(statements.append, Sql.appendParameters([batch])).values
      return { _tag: "Stored", row } satisfies AppendResult
    },
    Effect.catchTag("SqlError", (error) => Effect.fail(toStoreError("AuditStore", "appendInTransaction")(error)))
  )

  // Into a log that is sealed with another key, or may be, nothing is written: the events wait in the fallback.
  const append = (draft: AuditDraft): ReturnType<typeof writer.append> => {
    const problem = chainKeys.ring.held
    if (problem === null) return writer.append(draft)
    return Effect.fail(new StoreError({ store: "AuditStore", operation: "append", problem }))
  }

  return AuditStore.of({ append, appendInTransaction, ...AuditReads.make(database) })
})

/** Keep it in a layer above `Database`: the writer drains into a pool that must still be open. */
export const layer = Layer.effect(AuditStore, make())

export const layerWith = (options: AuditStoreOptions) => Layer.effect(AuditStore, make(options))
