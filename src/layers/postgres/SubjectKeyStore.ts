import { Effect, Layer, Schema } from "effect"
import { KeyId } from "../../schema/Ids.ts"
import { type CurrentKey, type KnownKey, SubjectKeyStore } from "../../services/SubjectKeyStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import { byteas, texts } from "./PgArrays.ts"

/** The keys of subjects in `governance_subject_keys`, the only table that knows a subject. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("SubjectKeyStore")

  return SubjectKeyStore.of({
    current: (candidates, unusable) =>
      Effect.map(
        ask("current", `SELECT * FROM ${prefix}governance_current_subject_keys($1, $2, $3, $4, $5)`, [
          texts(candidates.map(({ subject }) => subject)),
          texts(candidates.map(({ id }) => id)),
          byteas(candidates.map(({ wrapped }) => wrapped)),
          texts(candidates.map(({ wrapKey }) => wrapKey)),
          texts(unusable)
        ]),
        (rows) =>
          rows.map(
            ([subject, id, wrapped, wrapKey]): CurrentKey => ({
              subject: String(subject),
              id: String(id),
              wrapped: bytesOf(wrapped),
              wrapKey: keyIdOf(wrapKey)
            })
          )
      ),
    byId: (ids) =>
      Effect.map(
        ask(
          "byId",
          `SELECT id, wrapped, wrap_key, (extract(epoch FROM erased_at) * 1000)::bigint
             FROM ${prefix}governance_subject_keys WHERE id = ANY ($1::text[])`,
          [texts(ids)]
        ),
        (rows) =>
          rows.map(
            ([id, wrapped, wrapKey, erasedAtMs]): KnownKey =>
              wrapped === null
                ? { _tag: "Erased", id: String(id), erasedAtMs: Number(erasedAtMs) }
                : { _tag: "Kept", id: String(id), wrapped: bytesOf(wrapped), wrapKey: keyIdOf(wrapKey) }
          )
      ),
    idsOf: (subject) =>
      Effect.map(
        ask("idsOf", `SELECT id FROM ${prefix}governance_subject_keys WHERE subject = $1 ORDER BY created_at, id`, [
          subject
        ]),
        (rows) => rows.map(([id]) => String(id))
      ),
    erase: (subject) =>
      Effect.map(ask("erase", `SELECT e FROM ${prefix}governance_erase_subject($1) AS e`, [subject]), (rows) =>
        rows.map(([id]) => String(id))
      )
  })
})

export const layer = Layer.effect(SubjectKeyStore, make)

const keyIdOf = Schema.decodeUnknownSync(KeyId)
const isBytes = Schema.is(Schema.Uint8Array)

/** A value of the driver is a view of the socket's chunk, which it would keep alive. */
const bytesOf = (value: unknown): Uint8Array => (isBytes(value) ? new Uint8Array(value) : new Uint8Array())
