import { Effect, Layer } from "effect"
import { ChainId } from "../../schema/Ids.ts"
import { ReaderStore } from "../../services/ReaderStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import { int8s, texts } from "./PgArrays.ts"

/** Cursors beside the log, leases on the clock of its database. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("ReaderStore")

  return ReaderStore.of({
    lead: (reader, holder, leaseMs) =>
      Effect.map(
        ask("lead", `SELECT r_epoch, r_begun FROM ${prefix}governance_reader_lead($1, $2, $3)`, [
          reader,
          holder,
          BigInt(Math.max(0, Math.round(leaseMs)))
        ]),
        ([row]) =>
          row === undefined || row[0] === null
            ? { _tag: "Following" }
            : { _tag: "Leading", epoch: Number(row[0]), begun: row[1] === true }
      ),

    resign: (reader, epoch) =>
      Effect.asVoid(ask("resign", `SELECT ${prefix}governance_reader_resign($1, $2)`, [reader, BigInt(epoch)])),

    cursors: (reader, after, limit) =>
      Effect.map(
        ask(
          "cursors",
          `SELECT chain, seq FROM ${prefix}governance_reader_cursors WHERE reader = $1 AND chain > $2 ORDER BY chain LIMIT $3`,
          [reader, after ?? "", BigInt(limit)]
        ),
        (rows) => rows.map(([chain, seq]) => ({ chain: ChainId.make(String(chain)), seq: Number(seq) }))
      ),

    advance: (reader, epoch, positions, begun = false) =>
      Effect.map(
        ask("advance", `SELECT ${prefix}governance_reader_advance($1, $2, $3, $4, $5)`, [
          reader,
          BigInt(epoch),
          texts(positions.map(({ chain }) => chain)),
          int8s(positions.map(({ seq }) => BigInt(seq))),
          begun
        ]),
        ([row]) => row?.[0] === true
      )
  })
})

export const layer = Layer.effect(ReaderStore, make)
