import { Effect, Layer, Schema } from "effect"
import { ChainKeyVersion } from "../../schema/ChainKeyVersion.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { ChainKeyStore } from "../../services/ChainKeyStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import { texts } from "./PgArrays.ts"
import * as StoreTransaction from "./StoreTransaction.ts"

/** The registry in its own table: rows are added by two functions and never changed. */
export const make = Effect.gen(function* () {
  const { prefix, sql } = yield* Database
  const ask = yield* Ask.make("ChainKeyStore")

  return ChainKeyStore.of({
    read: Effect.gen(function* () {
      const rows = yield* ask(
        "read",
        `SELECT m.value, k.version, k.key_id, k.fingerprint, k.previous, k.marker, k.handover
           FROM ${prefix}governance_meta m LEFT JOIN ${prefix}governance_audit_chain_keys k ON true
          WHERE m.key = 'deployment_id' ORDER BY k.version`
      )
      if (rows[0] === undefined)
        return yield* new StoreError({ store: "ChainKeyStore", operation: "read", problem: "integrity" })
      return {
        deploymentId: String(rows[0][0]),
        versions: rows.flatMap((row) => (row[1] === null ? [] : [versionOf(row)]))
      }
    }),

    begin: ({ fingerprint, keyId, known }) =>
      Effect.map(
        ask("begin", `SELECT ${prefix}governance_begin_chain_keys($1, $2, $3)`, [keyId, fingerprint, texts(known)]),
        ([row]) => row?.[0] === true
      ),

    advance: Effect.fnUntraced(function* ({ expected, fingerprint, handover, keyId, marker, previous }) {
      if (!(yield* StoreTransaction.isOpen(sql))) {
        return yield* Effect.die(new Error("ChainKeyStore.advance outside of StoreTransaction.run"))
      }
      const [row] = yield* ask(
        "advance",
        `SELECT ${prefix}governance_advance_chain_key($1::int, $2, $3, $4, $5::uuid, $6::bytea)`,
        [expected, previous, keyId, fingerprint, marker, handover]
      )
      return row?.[0] === true
    })
  })
})

export const layer = Layer.effect(ChainKeyStore, make)

const decode = Schema.decodeUnknownSync(ChainKeyVersion)

const versionOf = ([, version, keyId, fingerprint, previous, marker, handover]: ReadonlyArray<unknown>) =>
  decode({ version: Number(version), keyId, fingerprint, previous, marker, handover })
