import { Effect, Layer } from "effect"
import { IngestStore, type IngestVerdict } from "../../services/IngestStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import { int8s, texts } from "./PgArrays.ts"
import * as TenantAsk from "./TenantAsk.ts"

/** Copies of events in the platform's own schema. They are written by one function and by nothing else. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("IngestStore", 5000)
  const within = yield* TenantAsk.make("IngestStore")

  return IngestStore.of({
    append: ({ workflow, workspace }, instance, events, nowMs) =>
      Effect.map(
        ask(
          "append",
          `SELECT r_outcome, r_index, r_stored, r_duplicates, r_expected
             FROM ${prefix}governance_ingest_within($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
          [
            workspace,
            workflow,
            instance,
            BigInt(nowMs),
            texts(events.map(({ event }) => event)),
            int8s(events.map(({ seq }) => BigInt(seq))),
            texts(events.map(({ eventType }) => eventType)),
            texts(events.map(({ agent }) => agent)),
            texts(events.map(({ session }) => session)),
            texts(events.map(({ createdAt }) => createdAt)),
            texts(events.map(({ metadata }) => metadata)),
            texts(events.map(({ sdkVersion }) => sdkVersion)),
            texts(events.map(({ digest }) => digest))
          ]
        ).pipe(
          // The victim of a deadlock, with a migration for one, was rolled back whole: nobody need hear of it (P-12).
          Effect.retry({ while: ({ problem }) => problem === "overload", times: 3 })
        ),
        ([row]) => verdictOf(row ?? [])
      ),
    timeline: ({ workflow, workspace }, { after, agent, before, eventType, limit, session }) =>
      Effect.map(
        within("timeline", timeline(prefix, after === null ? "DESC" : "ASC"), [
          workspace,
          workflow,
          big(before),
          big(after),
          agent,
          session,
          eventType,
          limit
        ]),
        (rows) =>
          rows.map((row) => ({
            position: Number(row[0]),
            event: String(row[1]),
            instance: String(row[2]),
            seq: Number(row[3]),
            eventType: String(row[4]),
            agent: String(row[5]),
            session: row[6] === null ? null : String(row[6]),
            createdAt: String(row[7]),
            metadata: String(row[8]),
            sdkVersion: String(row[9]),
            receivedMs: Number(row[10])
          }))
      ),
    conflicts: ({ workflow, workspace }, limit) =>
      Effect.map(
        within(
          "conflicts",
          `SELECT event, kept_digest, other_digest, seen_ms FROM ${prefix}governance_event_conflicts
            WHERE workspace = $1 AND workflow = $2 ORDER BY seen_ms DESC LIMIT $3`,
          [workspace, workflow, limit]
        ),
        (rows) =>
          rows.map(([event, keptDigest, otherDigest, seenMs]) => ({
            event: String(event),
            keptDigest: String(keptDigest),
            otherDigest: String(otherDigest),
            seenMs: Number(seenMs)
          }))
      )
  })
})

export const layer = Layer.effect(IngestStore, make)

/** Filters are parameters of two constant texts: what a caller wants never becomes SQL (P-10). */
const timeline = (prefix: string, order: "ASC" | "DESC") => `SELECT * FROM (
  SELECT position, event, instance, seq, event_type, agent, session, created_at, metadata, sdk_version, received_ms
    FROM ${prefix}governance_events
   WHERE workspace = $1 AND workflow = $2 AND ($3::bigint IS NULL OR position < $3::bigint)
     AND ($4::bigint IS NULL OR position > $4::bigint) AND ($5::text IS NULL OR agent = $5::text)
     AND ($6::text IS NULL OR session = $6::text) AND ($7::text IS NULL OR event_type = $7::text)
   ORDER BY position ${order} LIMIT $8) AS found ORDER BY position DESC`

const verdictOf = ([outcome, index, stored, duplicates, next]: ReadonlyArray<unknown>): IngestVerdict => {
  const expected = Number(next)
  if (outcome === "taken") {
    return { _tag: "Taken", stored: Number(stored), duplicates: Number(duplicates), expected }
  }
  if (outcome === "order" || outcome === "conflict") {
    return { _tag: outcome === "order" ? "OutOfOrder" : "Conflict", index: Number(index) - 1, expected }
  }
  return { _tag: "NoWorkflow" }
}

const big = (value: number | null) => (value === null ? null : BigInt(value))
