import { Context, Effect, Layer, type Redacted } from "effect"
import * as PostgresAdmission from "../src/layers/postgres/AdmissionStore.ts"
import * as Database from "../src/layers/postgres/Database.ts"
import * as PostgresPolicies from "../src/layers/postgres/PolicyStore.ts"
import * as PostgresPresence from "../src/layers/postgres/PresenceStore.ts"
import type { Admission } from "../src/schema/Call.ts"
import { AgentId, SessionId, TicketId } from "../src/schema/Ids.ts"
import { NanoUsd } from "../src/schema/Money.ts"
import { AdmissionStore } from "../src/services/AdmissionStore.ts"
import { PolicyStore } from "../src/services/PolicyStore.ts"
import { PresenceStore } from "../src/services/PresenceStore.ts"
import type { BenchDatabase } from "./BenchServer.ts"
import { build } from "./Build.ts"

/** One agent with every cap and a loop window, and the anchor beside it: a durable INSERT of one row of about a ticket's size. */
export const rig = Effect.fnUntraced(function* ({ appUrl, ownerUrl }: BenchDatabase) {
  const stores = yield* build(storesOver(appUrl))
  const { hot } = Context.get(yield* build(Database.layerFromUrl(ownerUrl)), Database.Database)
  const admission = Context.get(stores, AdmissionStore)
  const policies = Context.get(stores, PolicyStore)
  const agentId = AgentId.make(`bench-${globalThis.crypto.randomUUID()}`)
  yield* Context.get(stores, PresenceStore).enrol(agentId, null)
  yield* policies.put({ agentId, kind: "budget", body: caps, source: "code" })
  yield* policies.put({ agentId, kind: "loop", body: { maxCalls: 1000, windowSeconds: 60 }, source: "code" })
  yield* hot.use((connection) =>
    connection.query(
      `CREATE TABLE IF NOT EXISTS bench_raw
         (id uuid PRIMARY KEY, agent text, session text, usd bigint, tokens bigint, at timestamptz DEFAULT now(), facts json)`
    )
  )
  const insert = hot.use((connection) =>
    connection.queryValues(
      "INSERT INTO bench_raw (id, agent, session, usd, tokens, facts) VALUES ($1, $2, $3, $4, $5, $6::json)",
      [globalThis.crypto.randomUUID(), agentId, session, 10n, 1n, '{"kind":"llm","name":"llm","model":"gpt-4o"}']
    )
  )
  return { admission, agentId, insert: Effect.suspend(() => insert) }
})

const storesOver = (appUrl: Redacted.Redacted) =>
  Layer.mergeAll(
    PostgresAdmission.layerWith({ deadlineMs: 30_000 }),
    PostgresPolicies.layer,
    PostgresPresence.layer
  ).pipe(Layer.provide(Database.layerFromUrl(appUrl)))

const caps = {
  perAgentUsdDaily: "1000000",
  perAgentTokensDaily: 2 ** 50,
  perSessionUsd: "900000",
  perSessionTokens: 2 ** 50,
  perSessionSeconds: 86_400
}
const session = SessionId.make("bench")

export const spent = {
  _tag: "Spent",
  usd: NanoUsd.make(5n),
  tokens: 1n,
  model: "gpt-4o",
  resultHash: null
} as const

export const request = (agentId: AgentId, tool: string | null, sessionId = session): Admission => ({
  ticket: TicketId.make(globalThis.crypto.randomUUID()),
  root: agentId,
  agentId,
  sessionId,
  tool,
  signature: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
  hold: { _tag: "Exact", usd: NanoUsd.make(10n), tokens: 1n },
  leaseMs: 60_000,
  facts: {
    kind: tool === null ? "llm" : "tool",
    name: tool ?? "llm",
    model: tool === null ? "gpt-4o" : null,
    inputHash: null
  }
})
