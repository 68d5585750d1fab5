import { Effect, Layer, Schema } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import { ChainId, EventId } from "../../schema/Ids.ts"
import { HoldScope, type LegalHold } from "../../schema/LegalHold.ts"
import type { StoreError } from "../../schema/StoreError.ts"
import { type AgedRows, type PruneResult, RetentionStore, type SealedSegment } from "../../services/RetentionStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import { sqlState } from "./SqlFailure.ts"

/** Seals, prunes and holds in Postgres. Pruning goes through the one function that passes the append-only trigger. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("RetentionStore", 10_000)
  const events = `${prefix}governance_audit_events`

  return RetentionStore.of({
    // A loose scan: one index probe for the first row of each chain, one for its last aged row.
    aged: (beforeMs, after, limit) =>
      Effect.map(
        ask(
          "aged",
          `SELECT h.chain, f.seq, l.seq FROM ${prefix}governance_audit_chain_heads h
             CROSS JOIN LATERAL (SELECT e.seq, e.at_ms, e.recorded_at FROM ${events} e
               WHERE e.chain = h.chain ORDER BY e.seq LIMIT 1) f
             CROSS JOIN LATERAL (SELECT max(e.seq) AS seq FROM ${events} e WHERE e.chain = h.chain
               AND e.seq < coalesce((SELECT min(y.seq) FROM ${events} y WHERE y.chain = h.chain
                 AND (y.at_ms >= $1 OR y.recorded_at >= to_timestamp($1::float8 / 1000))), h.seq + 1)) l
            WHERE h.chain > $2 AND h.chain <> 'operator' AND f.at_ms < $1
              AND f.recorded_at < to_timestamp($1::float8 / 1000) AND l.seq IS NOT NULL
            ORDER BY h.chain LIMIT $3`,
          [BigInt(Math.trunc(beforeMs)), after ?? "", BigInt(limit)]
        ),
        (rows) =>
          rows.map(
            ([chain, fromSeq, toSeq]): AgedRows => ({
              chain: ChainId.make(String(chain)),
              fromSeq: Number(fromSeq),
              toSeq: Number(toSeq)
            })
          )
      ),

    unpruned: (chain) =>
      Effect.map(
        ask(
          "unpruned",
          `SELECT chain, from_seq, to_seq, encode(first_prev, 'hex'), encode(last_hash, 'hex'), encode(root, 'hex'), seal
             FROM ${prefix}governance_retention_segments WHERE chain = $1 AND state <> 'pruned' ORDER BY from_seq LIMIT 1`,
          [chain]
        ),
        ([row]) => (row === undefined ? null : segmentOf(row))
      ),

    seal: ({ chain, firstPrev, fromSeq, lastHash, root, seal, toSeq }) =>
      ask(
        "seal",
        `SELECT ${prefix}governance_seal_segment($1, $2, $3, decode($4, 'hex'), decode($5, 'hex'), decode($6, 'hex'), $7::uuid)`,
        [chain, BigInt(fromSeq), BigInt(toSeq), firstPrev, lastHash, root, seal]
      ).pipe(
        Effect.map(([row]) => (row?.[0] === true ? ("Sealed" as const) : ("Behind" as const))),
        Effect.catch(unlessForbidden)
      ),

    prune: ({ chain, fromSeq }, minAgeMs) =>
      ask("prune", `SELECT ${prefix}governance_prune_segment($1, $2, $3::float8 * interval '1 millisecond')`, [
        chain,
        BigInt(fromSeq),
        minAgeMs
      ]).pipe(
        Effect.map(([row]): PruneResult => ({ _tag: "Pruned", rows: Number(row?.[0]) })),
        Effect.catch((error) => {
          const verdict = verdicts[codeOf(error) ?? ""]
          return verdict === undefined ? Effect.fail(error) : Effect.succeed<PruneResult>({ _tag: verdict })
        })
      ),

    holds: Effect.suspend(() =>
      Effect.map(
        ask("holds", `SELECT ${holdColumns} FROM ${prefix}governance_legal_holds ORDER BY scope, name`),
        (rows) => rows.map(holdOf)
      )
    ),
    holdsOnRows: ({ chain, fromSeq, toSeq }) =>
      Effect.map(
        ask("holdsOnRows", `SELECT ${holdColumns} FROM ${prefix}governance_holds_on_rows($1, $2, $3)`, [
          chain,
          BigInt(fromSeq),
          BigInt(toSeq)
        ]),
        (rows) => rows.map(holdOf)
      ),
    holdsOnSubject: (subject) =>
      Effect.map(
        ask("holdsOnSubject", `SELECT ${holdColumns} FROM ${prefix}governance_holds_on_subject($1)`, [subject]),
        (rows) => rows.map(holdOf)
      ),
    setHold: ({ by, name, reason, scope }) =>
      Effect.map(
        ask("setHold", `SELECT ${prefix}governance_set_hold($1, $2, $3, $4)`, [scope, name, by, reason]),
        ([row]) => row?.[0] === true
      ),
    releaseHold: (scope, name) =>
      ask("releaseHold", `SELECT ${prefix}governance_release_hold($1, $2)`, [scope, name]).pipe(
        Effect.map(([row]) => (row?.[0] === true ? ("Released" as const) : ("None" as const))),
        Effect.catch(unlessForbidden)
      )
  })
})

export const layer = Layer.effect(RetentionStore, make)

const verdicts: Readonly<Record<string, Exclude<PruneResult["_tag"], "Pruned">>> = {
  GV010: "Mismatch",
  GV011: "Held",
  GV012: "TooYoung",
  "42501": "NotOwner"
}

const codeOf = (error: StoreError): string | undefined =>
  isSqlError(error.detail) ? sqlState(error.detail) : undefined

const unlessForbidden = (error: StoreError) =>
  codeOf(error) === "42501" ? Effect.succeed("NotOwner" as const) : Effect.fail(error)

const holdColumns = "scope, name, set_by, reason, (extract(epoch FROM set_at) * 1000)::bigint"
const decodeScope = Schema.decodeUnknownSync(HoldScope)

const holdOf = ([scope, name, by, reason, setAtMs]: ReadonlyArray<unknown>): LegalHold => ({
  scope: decodeScope(scope),
  name: String(name),
  by: String(by),
  reason: String(reason),
  setAtMs: Number(setAtMs)
})

const segmentOf = ([
  chain,
  fromSeq,
  toSeq,
  firstPrev,
  lastHash,
  root,
  seal
]: ReadonlyArray<unknown>): SealedSegment => ({
  chain: ChainId.make(String(chain)),
  fromSeq: Number(fromSeq),
  toSeq: Number(toSeq),
  firstPrev: firstPrev === null ? null : String(firstPrev),
  lastHash: String(lastHash),
  root: String(root),
  seal: EventId.make(String(seal))
})
