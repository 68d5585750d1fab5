import { Effect, Layer } from "effect"
import type { BudgetState, CapState } from "../../schema/Cost.ts"
import { type Counter, capStates, type Limit } from "../../schema/Counters.ts"
import { AgentId, type SessionId } from "../../schema/Ids.ts"
import { NanoUsd } from "../../schema/Money.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { CostStore } from "../../services/CostStore.ts"
import { storable } from "./AdmissionStatements.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** The counters that admission holds on, read and added to directly. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("CostStore")

  return CostStore.of({
    snapshot: Effect.fnUntraced(function* (agentId, sessionId) {
      const rows = yield* ask("snapshot", snapshot(prefix), [agentId, sessionId ?? ""])
      if (rows.length === 0)
        return yield* new StoreError({ store: "CostStore", operation: "snapshot", problem: "integrity" })
      return stateOf(agentId, sessionId, rows)
    }),

    track: ({ agentId, id, model, sessionId, tokens, usd }) =>
      usd < 0n || tokens < 0n || usd >= 2n ** 62n || tokens >= 2n ** 62n
        ? Effect.fail(new StoreError({ store: "CostStore", operation: "track", problem: "refused" }))
        : Effect.asVoid(
            ask("track", `SELECT ${prefix}governance_track($1, $2, $3, $4, $5, $6)`, [
              agentId,
              storable(id),
              sessionId ?? "",
              model === null ? null : storable(model),
              usd,
              tokens
            ])
          ),

    breakdown: (agentId) =>
      Effect.map(
        ask(
          "breakdown",
          `SELECT m.model, m.usd, m.tokens FROM ${prefix}governance_agents a
             JOIN ${prefix}governance_cost_models m ON m.root = a.root AND m.agent = a.agent
            WHERE a.agent = $1 AND (m.usd > 0 OR m.tokens > 0)`,
          [agentId]
        ),
        (rows) =>
          rows.map(([model, usd, tokens]) => ({
            model: String(model),
            usd: NanoUsd.make(int(usd)),
            tokens: int(tokens)
          }))
      )
  })
})

export const layer = Layer.effect(CostStore, make)

/** One row for every agent of the path, root first; an agent that nobody knows is its own root. */
const snapshot = (prefix: string) => `WITH clock AS (SELECT ${prefix}governance_now() AS now),
  lineage AS (
    SELECT coalesce(a.root, $1) AS root, coalesce(a.path, ARRAY[$1]) AS path
      FROM (SELECT 1) one LEFT JOIN ${prefix}governance_agents a ON a.agent = $1)
SELECT x.agent, to_char(c.now AT TIME ZONE 'UTC', 'YYYY-MM-DD'), b.limits,
       s.used_usd, s.used_tokens, s.held_usd, s.held_tokens,
       d.used_usd, d.used_tokens, d.held_usd, d.held_tokens,
       greatest(0, floor(extract(epoch FROM c.now - s.started_at)))::bigint
  FROM clock c CROSS JOIN lineage l CROSS JOIN LATERAL unnest(l.path) WITH ORDINALITY AS x(agent, pos)
  LEFT JOIN ${prefix}governance_policies b ON b.agent = x.agent AND b.kind = 'budget'
  LEFT JOIN ${prefix}governance_cost_counters s ON s.root = l.root AND s.agent = x.agent AND s.scope = 's:' || $2
  LEFT JOIN ${prefix}governance_cost_counters d ON d.root = l.root AND d.agent = x.agent
        AND d.scope = 'd:' || to_char(c.now AT TIME ZONE 'UTC', 'YYYY-MM-DD')
 ORDER BY x.pos`

const int = (value: unknown): bigint => (typeof value === "bigint" ? value : 0n)

const counterOf = (values: ReadonlyArray<unknown>): Counter => ({
  spentUsd: int(values[0]),
  spentTokens: int(values[1]),
  heldUsd: int(values[2]),
  heldTokens: int(values[3])
})

/** The order of `governance_limits`. */
const capOrder = [
  "perSessionUsd",
  "perSessionTokens",
  "perAgentUsdDaily",
  "perAgentTokensDaily",
  "perSessionSeconds"
] as const

const limitsOf = (limits: unknown): ReadonlyArray<Limit> =>
  Array.isArray(limits)
    ? capOrder.flatMap((cap, at) => (int(limits[at]) < 0n ? [] : [{ cap, limit: int(limits[at]) }]))
    : []

const stateOf = (
  agentId: AgentId,
  sessionId: SessionId | null,
  rows: ReadonlyArray<ReadonlyArray<unknown>>
): BudgetState => {
  const own = rows[rows.length - 1] ?? []
  const session = counterOf(own.slice(3, 7))
  const day = counterOf(own.slice(7, 11))
  const caps: Array<CapState> = rows.flatMap((row) =>
    capStates(AgentId.make(String(row[0])), limitsOf(row[2]), {
      session: counterOf(row.slice(3, 7)),
      day: counterOf(row.slice(7, 11)),
      sessionSeconds: int(row[11])
    })
  )
  return {
    agentId,
    sessionId,
    day: String(own[1]),
    sessionUsd: NanoUsd.make(session.spentUsd),
    sessionTokens: session.spentTokens,
    dailyUsd: NanoUsd.make(day.spentUsd),
    dailyTokens: day.spentTokens,
    heldUsd: NanoUsd.make(day.heldUsd),
    caps
  }
}
