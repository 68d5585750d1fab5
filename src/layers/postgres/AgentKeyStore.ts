import { Effect, Layer, Schema } from "effect"
import { type AgentKey, AgentKeyFingerprint } from "../../schema/AgentKey.ts"
import { AgentId, EventId } from "../../schema/Ids.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { AgentKeyStore } from "../../services/AgentKeyStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** Keys and revocations in two append-only tables; what the runtime role may do there is in two functions. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("AgentKeyStore")
  const select = `SELECT k.agent, k.activation_seq, k.fingerprint, k.public_key, k.proof, k.registered_at_ms,
      r.reason, r.revoked_by, r.revoked_at_ms, r.chain_event_id::text
    FROM ${prefix}governance_agent_keys k
    LEFT JOIN ${prefix}governance_agent_key_revocations r ON r.fingerprint = k.fingerprint`
  const broken = (operation: string) => new StoreError({ store: "AgentKeyStore", operation, problem: "integrity" })

  const decode = (operation: string, row: ReadonlyArray<unknown>) =>
    Effect.mapError(keyOf(row), () => broken(operation))

  const find = Effect.fnUntraced(function* (fingerprint: AgentKeyFingerprint) {
    const [row] = yield* ask("find", `${select} WHERE k.fingerprint = $1`, [fingerprint])
    return row === undefined ? null : yield* decode("find", row)
  })

  const known = (operation: string, fingerprint: AgentKeyFingerprint) =>
    Effect.flatMap(find(fingerprint), (key) => (key === null ? Effect.fail(broken(operation)) : Effect.succeed(key)))

  return AgentKeyStore.of({
    deploymentId: Effect.flatMap(
      Effect.suspend(() =>
        ask("deploymentId", `SELECT value FROM ${prefix}governance_meta WHERE key = 'deployment_id'`)
      ),
      ([row]) => (typeof row?.[0] === "string" ? Effect.succeed(row[0]) : Effect.fail(broken("deploymentId")))
    ),

    list: Effect.flatMap(
      Effect.suspend(() => ask("list", `${select} ORDER BY k.agent, k.activation_seq`)),
      (rows) => Effect.forEach(rows, (row) => decode("list", row))
    ),

    find,

    add: Effect.fnUntraced(function* (key) {
      const [row] = yield* ask("add", `SELECT ${prefix}governance_register_agent_key($1, $2, $3, $4)`, [
        key.agentId,
        key.fingerprint,
        key.publicKey,
        key.proof
      ])
      return { added: row?.[0] === true, key: yield* known("add", key.fingerprint) }
    }),

    revoke: Effect.fnUntraced(function* (fingerprint, { eventId, reason, revokedBy }) {
      // Looked up first: a statement that fails would take the caller's transaction with it.
      if ((yield* find(fingerprint)) === null) return null
      const [row] = yield* ask("revoke", `SELECT ${prefix}governance_revoke_agent_key($1, $2, $3, $4::uuid)`, [
        fingerprint,
        reason.toWellFormed().replaceAll("\0", "\uFFFD"),
        revokedBy,
        eventId
      ])
      return { revoked: row?.[0] === true, key: yield* known("revoke", fingerprint) }
    })
  })
})

export const layer = Layer.effect(AgentKeyStore, make)

const Bytes = Schema.instanceOf(Uint8Array)
const Whole = Schema.Union([Schema.Number, Schema.BigInt, Schema.String])
const Row = Schema.Tuple([
  AgentId,
  Whole,
  AgentKeyFingerprint,
  Bytes,
  Bytes,
  Whole,
  Schema.NullOr(Schema.String),
  Schema.NullOr(Schema.String),
  Schema.NullOr(Whole),
  Schema.NullOr(EventId)
])
const decodeRow = Schema.decodeUnknownEffect(Row)

const keyOf = (row: ReadonlyArray<unknown>) =>
  Effect.map(
    decodeRow(row),
    ([agentId, seq, fingerprint, publicKey, proof, registeredAt, reason, revokedBy, revokedAt, eventId]): AgentKey => ({
      agentId,
      activationSeq: Number(seq),
      fingerprint,
      publicKey: Uint8Array.from(publicKey),
      proof: Uint8Array.from(proof),
      registeredAtMs: Number(registeredAt),
      revocation:
        reason === null || revokedBy === null || revokedAt === null
          ? null
          : { reason, revokedBy, revokedAtMs: Number(revokedAt), eventId }
    })
  )
