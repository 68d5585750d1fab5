import { assert } from "@effect/vitest"
import { Effect, type Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import { Audit } from "../../src/services/Audit.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import * as Checkers from "../../src/testing/Checkers.ts"
import type { History } from "../../src/testing/History.ts"
import { layerSql, TestDatabase } from "../support/database.ts"
import { auditSecret } from "./Processes.ts"

/** One statement as the server's superuser. */
export const admin = (text: string, parameters: ReadonlyArray<unknown> = []) =>
  Effect.provide(
    SqlClient.SqlClient.use((sql) => sql.unsafe(text, parameters).values),
    layerSql("admin", { maxConnections: 1 }),
    { local: true }
  )

/** All of governance in the test's own process. */
export const governance = (url: Redacted.Redacted<string>, options: GovernanceOptions = {}) =>
  Postgres.layer({ databaseUrl: url, auditSecret, testMode: true, ...options })

/** The rows of every chain, as the checkers want them. */
export const storedRows = Effect.map(
  admin(
    "SELECT chain, seq::int, id::text, encode(hash, 'hex'), encode(prev, 'hex') FROM governance_audit_events ORDER BY chain, seq"
  ),
  (rows) =>
    rows.map(
      ([chain, seq, event, hash, prev]): Checkers.StoredRow => ({
        chain: String(chain),
        seq: Number(seq),
        event: String(event),
        hash: String(hash),
        prev: prev === null ? null : String(prev)
      })
    )
)

/** Holds and settlements of every ticket in the order of the database's clock, by agent and session. */
export const movements = Effect.map(
  admin(`
    SELECT counter, act, delta::text FROM (
      SELECT root || ' ' || session AS counter, 'hold' AS act, held_usd AS delta, opened_at AS at, 1 AS rank
        FROM governance_tickets WHERE state <> 'refused'
      UNION ALL
      SELECT root || ' ' || session, 'settle', settled_usd - held_usd, settled_at, 0
        FROM governance_tickets WHERE state <> 'refused' AND settled_at IS NOT NULL
    ) AS moves ORDER BY at, rank`),
  (rows) =>
    rows.map(
      ([counter, act, delta]): Checkers.Movement => ({
        counter: String(counter),
        act: act === "hold" ? "hold" : "settle",
        delta: BigInt(String(delta))
      })
    )
)

/**
 * What must hold at the end of every fault test: no fork, no gap, nothing acknowledged is lost, no cap was passed, nothing was
 * admitted after a halt, and the verifier says ok. `caps` by `agent session`.
 */
export const mustHold = Effect.fnUntraced(function* (
  history: History,
  options: { readonly caps?: Readonly<Record<string, bigint>>; readonly complete?: boolean } = {}
) {
  const { appUrl } = yield* TestDatabase
  const rows = yield* storedRows
  assert.deepStrictEqual(Checkers.forksAndGaps(rows).slice(0, 5), [])
  const lost = Checkers.acknowledgedIsStored(history, rows, { complete: options.complete ?? false })
  assert.deepStrictEqual(lost.slice(0, 5), [])
  assert.deepStrictEqual(Checkers.overspend(yield* movements, options.caps ?? {}).slice(0, 5), [])
  assert.deepStrictEqual(Checkers.allowedAfterHalt(history, 0n).slice(0, 5), [])
  const report = yield* Effect.provide(
    Effect.flatMap(Audit, (audit) => audit.report()),
    governance(appUrl),
    { local: true }
  )
  assert.deepStrictEqual({ verdict: report.verdict, breaks: report.breaks.slice(0, 5) }, { verdict: "ok", breaks: [] })
  // Processes that still live may have written since.
  assert.isAtLeast(report.rows, rows.length)
  return { rows: rows.length, operations: history.length }
})
