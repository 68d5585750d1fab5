import { generateKeyPairSync } from "node:crypto"
import { Effect, Layer, Result, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as AuditStore from "../../src/layers/postgres/AuditStore.ts"
import * as CheckpointStore from "../../src/layers/postgres/CheckpointStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import { genesis, headOf, type RowKeys, seal } from "../../src/schema/Chain.ts"
import { SessionId, sessionChain } from "../../src/schema/Ids.ts"
import * as Audit from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import * as AuditStores from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as CheckpointKey from "../../src/services/CheckpointKey.ts"
import { type CheckpointSink, CheckpointSinks } from "../../src/services/CheckpointSink.ts"
import * as Checkpoints from "../../src/services/Checkpoints.ts"
import * as RememberedCheckpoint from "../../src/services/RememberedCheckpoint.ts"
import { draftIn } from "../../src/testing/AuditChains.ts"
import { layerSql, TestDatabase } from "../support/database.ts"

export const newKey = () =>
  Result.getOrThrow(
    CheckpointKey.signingKeyOf(
      generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      "key"
    )
  )

export const key = newKey()

export interface ProcessOptions {
  readonly sinks?: ReadonlyArray<CheckpointSink>
  readonly memory?: RememberedCheckpoint.RememberedCheckpoint["Service"]
  readonly signing?: CheckpointKey.SigningKey | null
  /** Connects as the role that owns the tables. */
  readonly owner?: boolean
}

/** What a process of its own has, over the test's database. */
export const processOn = (options: ProcessOptions = {}) =>
  Checkpoints.layerOnDemand.pipe(
    Layer.provideMerge(Audit.layerWith()),
    Layer.provideMerge(Layer.mergeAll(AuditStore.layer, CheckpointStore.layer, AuditFallback.layerMemory)),
    Layer.provideMerge(ChainKeys.layerTest),
    Layer.provide(CheckpointKey.layerOf(options.signing === undefined ? key : options.signing)),
    Layer.provide(Layer.succeed(CheckpointSinks, options.sinks ?? [])),
    Layer.provide(
      Layer.succeed(RememberedCheckpoint.RememberedCheckpoint, options.memory ?? RememberedCheckpoint.makeMemory())
    ),
    Layer.provide(
      Layer.unwrap(
        Effect.map(TestDatabase, ({ appUrl, ownerUrl }) =>
          Database.layerFromUrl(options.owner === true ? ownerUrl : appUrl)
        )
      )
    ),
    Layer.fresh
  )

/** Runs as a process of its own, which ends with it. */
export const inProcess = (options: ProcessOptions = {}) => Effect.provide(processOn(options), { local: true })

export const rows = (session: string, count: number, metadataText = "{}") =>
  Effect.gen(function* () {
    const audit = yield* AuditStores.AuditStore
    for (let row = 0; row < count; row++) yield* audit.append(draftIn(SessionId.make(session), { metadataText }))
  })

export const chain = (session: string) => sessionChain(SessionId.make(session))

export const make = Effect.flatMap(Checkpoints.Checkpoints, (checkpoints) => checkpoints.make)
export const examined = Effect.flatMap(Checkpoints.Checkpoints, (checkpoints) => checkpoints.examine())
export const chains = Effect.flatMap(Audit.Audit, (audit) => audit.report())

const tables = [
  "governance_audit_events",
  "governance_audit_chain_heads",
  "governance_checkpoint_leaves",
  "governance_checkpoints",
  "governance_checkpoint_notes",
  "governance_checkpoint_adoptions",
  "governance_meta"
]

const sqlAs = (role: "admin" | "owner" | "app") => (statements: ReadonlyArray<string>) =>
  SqlClient.SqlClient.use((client) =>
    Effect.forEach(statements, (text) => client.unsafe(text).unprepared, { discard: true })
  ).pipe(Effect.provide(layerSql(role, { maxConnections: 1 }), { local: true }))
const sql = sqlAs("admin")

export const asOwner = (...statements: ReadonlyArray<string>) => sqlAs("owner")(statements)
export const asProgram = (...statements: ReadonlyArray<string>) => sqlAs("app")(statements)

/** A checkpoint of one leaf whatever the rows say, as only the owner can put it in. */
export const retaken = (previous: number, name: string, seq: number, hash: string) =>
  `SELECT governance_retake_checkpoint(${previous}, ARRAY['${name}'], ARRAY[${seq}::bigint], ARRAY[${hash}::bytea])`

/** What somebody with every right on the server can do: triggers off, change, triggers on again. */
export const tamper = (...statements: ReadonlyArray<string>) =>
  sql([
    ...tables.map((table) => `ALTER TABLE ${table} DISABLE TRIGGER ALL`),
    ...statements,
    ...tables
      .slice(0, -1)
      .filter((table) => !table.endsWith("heads"))
      .flatMap((table) => [
        `ALTER TABLE ${table} ENABLE ALWAYS TRIGGER governance_append_only_row`,
        `ALTER TABLE ${table} ENABLE ALWAYS TRIGGER governance_append_only_truncate`
      ])
  ])

const hex = (bytes: Uint8Array) => `'\\x${Buffer.from(bytes).toString("hex")}'`

/** Seals the rows of a session again from one on, with other content, as a thief of the audit secret would. */
export const reseal = Effect.fnUntraced(function* (
  audit: AuditStores.AuditStore["Service"],
  session: string,
  fromSeq: number,
  keys: RowKeys
) {
  const old = yield* Stream.runCollect(audit.rows(chain(session)))
  let head = genesis
  const statements: Array<string> = []
  for (const row of old) {
    const draft = { ...row, model: null, inputHash: null, outputHash: null, metadataText: '{"forged":true}' }
    const next = row.seq < fromSeq ? row : seal(draft, head, keys)
    head = headOf(next)
    statements.push(
      `UPDATE governance_audit_events SET canonical = '${next.canonical.replaceAll("'", "''")}', hash = ${hex(next.hash)},
         prev = ${next.prev === null ? "NULL" : hex(next.prev)}, hmac = ${hex(next.hmac)}
       WHERE chain = '${row.chain}' AND seq = ${row.seq}`
    )
  }
  statements.push(`UPDATE governance_audit_chain_heads SET hash = ${hex(head.hash!)} WHERE chain = '${chain(session)}'`)
  yield* tamper(...statements)
})

/** All tables as they are now, and back to that: a dump and its restoration. */
export const dump = sql([
  "CREATE SCHEMA dump",
  ...tables.map((table) => `CREATE TABLE dump.${table} AS TABLE public.${table}`)
])
export const restore = tamper(
  ...tables.flatMap((table) => [`TRUNCATE public.${table}`, `INSERT INTO public.${table} SELECT * FROM dump.${table}`])
)

/** Every trace of checkpoints inside the database. */
export const wipeCheckpoints = tamper(
  ...tables.filter((table) => table.includes("checkpoint")).map((table) => `TRUNCATE ${table}`)
)
