import { Effect, Layer } from "effect"
import { type Witnessed, type WitnessedAdoption, WitnessStore } from "../../services/WitnessStore.ts"
import { Database } from "./Database.ts"
import { int8s, texts } from "./PgArrays.ts"
import * as TenantAsk from "./TenantAsk.ts"

/** What the platform has witnessed, in its own schema. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* TenantAsk.make("WitnessStore")
  const table = `${prefix}governance_witnessed`

  return WitnessStore.of({
    find: ({ workflow, workspace }, origin) =>
      Effect.map(
        ask("find", `SELECT ${columns} FROM ${table} WHERE workspace = $1 AND workflow = $2 AND origin = $3`, [
          workspace,
          workflow,
          origin
        ]),
        ([row]) => (row === undefined ? null : witnessedOf(row))
      ),
    list: ({ workflow, workspace }) =>
      Effect.map(
        ask("list", `SELECT ${columns} FROM ${table} WHERE workspace = $1 AND workflow = $2 ORDER BY origin`, [
          workspace,
          workflow
        ]),
        (rows) => rows.map(witnessedOf)
      ),
    chains: ({ workflow, workspace }, origin, names) =>
      Effect.map(
        ask(
          "chains",
          `SELECT chain, seq, hash FROM ${prefix}governance_witnessed_chains
            WHERE workspace = $1 AND workflow = $2 AND origin = $3 AND chain = ANY ($4)`,
          [workspace, workflow, origin, texts(names)]
        ),
        (rows) => rows.map(([chain, seq, hash]) => ({ chain: String(chain), seq: Number(seq), hash: String(hash) }))
      ),
    advance: ({ workflow, workspace }, from, to, chains) =>
      Effect.map(
        ask(
          "advance",
          // Two that found the same one wait for each other at its row, and the second finds another size or root.
          `WITH moved AS (
             INSERT INTO ${table} AS w (workspace, workflow, origin, verifier_key, size, root, frontier, note, seen_ms)
             SELECT f.workspace, f.workflow, $3, $4, $5::bigint, $6, CASE WHEN $15::boolean THEN $7::text[] END, $8, $9::bigint
               FROM ${prefix}governance_workflows f
              WHERE f.workspace = $1 AND f.workflow = $2 AND ($10::bigint < 0 OR EXISTS (
                SELECT 1 FROM ${table} k WHERE k.workspace = $1 AND k.workflow = $2 AND k.origin = $3))
             ON CONFLICT (workspace, workflow, origin) DO UPDATE SET size = EXCLUDED.size, root = EXCLUDED.root,
               frontier = EXCLUDED.frontier, note = EXCLUDED.note, seen_ms = EXCLUDED.seen_ms
               WHERE w.size = $10::bigint AND w.root = $11
             RETURNING 1),
           chains AS (
             INSERT INTO ${prefix}governance_witnessed_chains (workspace, workflow, origin, chain, seq, hash)
             SELECT $1, $2, $3, u.chain, u.seq, u.hash
               FROM unnest($12::text[], $13::bigint[], $14::text[]) AS u (chain, seq, hash)
              WHERE EXISTS (SELECT 1 FROM moved) ORDER BY u.chain
             ON CONFLICT (workspace, workflow, origin, chain) DO UPDATE SET seq = EXCLUDED.seq, hash = EXCLUDED.hash)
           SELECT 1 FROM moved`,
          [
            workspace,
            workflow,
            to.origin,
            to.verifierKey,
            BigInt(to.size),
            to.root,
            texts(to.frontier ?? []),
            to.note,
            BigInt(to.seenMs),
            BigInt(from?.size ?? -1),
            from?.root ?? "",
            texts(chains.map(({ chain }) => chain)),
            int8s(chains.map(({ seq }) => BigInt(seq))),
            texts(chains.map(({ hash }) => hash)),
            to.frontier !== null
          ]
        ),
        (rows) => rows.length > 0
      ),
    adopt: ({ workflow, workspace }, from, to, adoption) =>
      Effect.map(
        ask(
          "adopt",
          `WITH moved AS (
             UPDATE ${table} SET size = $6::bigint, root = $7, frontier = $8::text[], note = $9, seen_ms = $10::bigint
              WHERE workspace = $1 AND workflow = $2 AND origin = $3 AND size = $4::bigint AND root = $5
             RETURNING 1),
           forgotten AS (
             DELETE FROM ${prefix}governance_witnessed_chains
              WHERE workspace = $1 AND workflow = $2 AND origin = $3 AND EXISTS (SELECT 1 FROM moved)),
           kept AS (
             INSERT INTO ${prefix}governance_witness_adoptions
               (workspace, workflow, origin, adoption, statement, kept_note, from_size, size, by, reason, at, seen_ms)
             SELECT $1, $2, $3, $11, $12, $13, $4::bigint, $6::bigint, $14, $15, $16, $10::bigint FROM moved
             ON CONFLICT DO NOTHING)
           SELECT 1 FROM moved`,
          [
            workspace,
            workflow,
            to.origin,
            BigInt(from.size),
            from.root,
            BigInt(to.size),
            to.root,
            texts(to.frontier ?? []),
            to.note,
            BigInt(to.seenMs),
            adoption.adoption,
            adoption.statement,
            adoption.keptNote,
            adoption.by,
            adoption.reason,
            adoption.at
          ]
        ),
        (rows) => rows.length > 0
      ),
    adoptions: ({ workflow, workspace }, limit) =>
      Effect.map(
        ask(
          "adoptions",
          `SELECT adoption, origin, statement, kept_note, from_size, size, by, reason, at, seen_ms
             FROM ${prefix}governance_witness_adoptions
            WHERE workspace = $1 AND workflow = $2 ORDER BY seen_ms DESC LIMIT $3`,
          [workspace, workflow, limit]
        ),
        (rows) => rows.map(adoptionOf)
      ),
    raise: ({ workflow, workspace }, { alarm, keptNote, note, origin, problem, seenMs }) =>
      Effect.asVoid(
        ask(
          "raise",
          `INSERT INTO ${prefix}governance_witness_alarms (workspace, workflow, alarm, origin, problem, note, kept_note, seen_ms)
           SELECT w.workspace, w.workflow, $3, $4, $5, $6, $7, $8::bigint FROM ${prefix}governance_workflows w
            WHERE w.workspace = $1 AND w.workflow = $2 ON CONFLICT DO NOTHING`,
          [workspace, workflow, alarm, origin, problem, note, keptNote, BigInt(seenMs)]
        )
      ),
    alarms: ({ workflow, workspace }, limit) =>
      Effect.map(
        ask(
          "alarms",
          `SELECT alarm, origin, problem, note, kept_note, seen_ms FROM ${prefix}governance_witness_alarms
            WHERE workspace = $1 AND workflow = $2 ORDER BY seen_ms DESC LIMIT $3`,
          [workspace, workflow, limit]
        ),
        (rows) =>
          rows.map(([alarm, origin, problem, note, keptNote, seenMs]) => ({
            alarm: String(alarm),
            origin: String(origin),
            problem: String(problem),
            note: String(note),
            keptNote: keptNote === null ? null : String(keptNote),
            seenMs: Number(seenMs)
          }))
      )
  })
})

export const layer = Layer.effect(WitnessStore, make)

const columns = "origin, verifier_key, size, root, frontier, note, seen_ms"

const witnessedOf = ([origin, verifierKey, size, root, frontier, note, seenMs]: ReadonlyArray<unknown>): Witnessed => ({
  origin: String(origin),
  verifierKey: String(verifierKey),
  size: Number(size),
  root: String(root),
  frontier: Array.isArray(frontier) ? frontier.map(String) : null,
  note: String(note),
  seenMs: Number(seenMs)
})

const adoptionOf = ([
  adoption,
  origin,
  statement,
  keptNote,
  fromSize,
  size,
  by,
  reason,
  at,
  seenMs
]: ReadonlyArray<unknown>): WitnessedAdoption => ({
  adoption: String(adoption),
  origin: String(origin),
  statement: String(statement),
  keptNote: String(keptNote),
  fromSize: Number(fromSize),
  size: Number(size),
  by: String(by),
  reason: String(reason),
  at: String(at),
  seenMs: Number(seenMs)
})
