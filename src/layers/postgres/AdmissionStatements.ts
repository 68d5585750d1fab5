import type { Admission, Settlement } from "../../schema/Call.ts"
import type { AgentId, TicketId } from "../../schema/Ids.ts"
import { int4s, int8s, texts, uuids } from "./PgArrays.ts"

/** The statements of admission, and how their parameters look on the wire. Binary arrays throughout. */
export const make = (prefix: string) => ({
  admit: `SELECT verdicts, days, held_usd, held_tokens, details, recent_of, recent_signatures, recent_results
    FROM ${prefix}governance_admit($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
  admitOne: `SELECT verdict, day, held_usd, held_tokens, detail, recent_signatures, recent_results
    FROM ${prefix}governance_admit_one($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`,
  admitApproved: `SELECT verdict, day, held_usd, held_tokens, detail, recent_signatures, recent_results
    FROM ${prefix}governance_admit_approved($12,$13,$14,$1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`,
  settle: `SELECT outcomes, charged_usd, charged_tokens FROM ${prefix}governance_settle($1,$2,$3,$4,$5,$6,$7)`,
  settleOne: `SELECT outcome, charged_usd, charged_tokens FROM ${prefix}governance_settle_one($1,$2,$3,$4,$5,$6,$7)`,
  renew: `SELECT ${prefix}governance_renew($1,$2,$3)`,
  expired: `SELECT ticket, root, agent, session, held_usd, held_tokens,
      (extract(epoch FROM opened_at) * 1000)::bigint, facts::text
    FROM ${prefix}governance_tickets WHERE settled_at IS NULL AND expires_at <= ${prefix}governance_now()
    ORDER BY expires_at LIMIT $1`,
  forgettable: `SELECT q.root, array_agg(q.ticket) FROM (
      SELECT root, ticket FROM ${prefix}governance_tickets
       WHERE settled_at <= ${prefix}governance_now() - interval '24 hours' ORDER BY settled_at LIMIT $1) q GROUP BY q.root`,
  forget: `SELECT ${prefix}governance_forget($1,$2)`
})

/** In the order of `governance_admit`'s parameters. */
export const admitParameters = (root: AgentId, requests: ReadonlyArray<Admission>): ReadonlyArray<unknown> => {
  const { pairs, pairOf, windowOf, windows } = grouped(requests)
  return [
    root,
    texts(pairs.map(({ agentId }) => agentId)),
    texts(pairs.map(({ sessionId }) => sessionId ?? "")),
    int4s(windows.map(({ pair }) => pair)),
    texts(windows.map(({ tool }) => tool)),
    uuids(requests.map(({ ticket }) => ticket)),
    int4s(pairOf),
    int4s(windowOf),
    texts(requests.map(({ signature }) => storable(signature))),
    int8s(requests.map(({ hold }) => (hold._tag === "Exact" ? hold.usd : -1n))),
    int8s(requests.map(({ hold }) => (hold._tag === "Exact" ? hold.tokens : 0n))),
    int8s(requests.map(({ leaseMs }) => BigInt(Math.max(0, Math.round(leaseMs))))),
    texts(requests.map(({ facts }) => (facts.model === null ? null : storable(facts.model)))),
    texts(requests.map(({ facts }) => JSON.stringify(facts)))
  ]
}

/** In the order of `governance_admit_one`'s parameters. */
export const admitOneParameters = ({
  agentId,
  facts,
  hold,
  leaseMs,
  root,
  sessionId,
  signature,
  ticket,
  tool
}: Admission): ReadonlyArray<unknown> => [
  root,
  agentId,
  sessionId ?? "",
  tool === null ? null : storable(tool.toLowerCase()),
  ticket,
  storable(signature),
  hold._tag === "Exact" ? hold.usd : -1n,
  hold._tag === "Exact" ? hold.tokens : 0n,
  BigInt(Math.max(0, Math.round(leaseMs))),
  facts.model === null ? null : storable(facts.model),
  JSON.stringify(facts)
]

/** `governance_admit_one`'s parameters, then the approval that is used up. */
export const admitApprovedParameters = (request: Admission): ReadonlyArray<unknown> => [
  ...admitOneParameters(request),
  request.approval?.requestId ?? null,
  request.approval?.mac ?? null,
  request.approval?.actionHash ?? null
]

export interface Settling {
  readonly ticket: TicketId
  readonly settlement: Settlement
}

/** In the order of `governance_settle`'s parameters. */
export const settleParameters = (root: AgentId, requests: ReadonlyArray<Settling>): ReadonlyArray<unknown> => [
  root,
  uuids(requests.map(({ ticket }) => ticket)),
  texts(requests.map(({ settlement }) => settlement._tag)),
  int8s(requests.map(({ settlement }) => (settlement._tag === "Spent" ? settlement.usd : 0n))),
  int8s(requests.map(({ settlement }) => (settlement._tag === "Spent" ? settlement.tokens : 0n))),
  texts(
    requests.map(({ settlement }) =>
      settlement._tag === "Spent" && settlement.model !== null ? storable(settlement.model) : null
    )
  ),
  texts(
    requests.map(({ settlement }) =>
      "resultHash" in settlement && settlement.resultHash !== null ? storable(settlement.resultHash) : null
    )
  )
]

/** In the order of `governance_settle_one`'s parameters. */
export const settleOneParameters = (root: AgentId, { settlement, ticket }: Settling): ReadonlyArray<unknown> => [
  root,
  ticket,
  settlement._tag,
  settlement._tag === "Spent" ? settlement.usd : 0n,
  settlement._tag === "Spent" ? settlement.tokens : 0n,
  settlement._tag === "Spent" && settlement.model !== null ? storable(settlement.model) : null,
  "resultHash" in settlement && settlement.resultHash !== null ? storable(settlement.resultHash) : null
]

/** What Postgres takes as text: a NUL or half a surrogate pair is written as its JSON escape (DEC-17). */
export const storable = (text: string): string =>
  text.isWellFormed() && !text.includes("\0") ? text : JSON.stringify(text)

/** The distinct (agent, session) pairs and loop windows of a batch; numbers count from 1, 0 is a call that no window counts. */
export const grouped = (requests: ReadonlyArray<Admission>) => {
  const pairs: Array<Pick<Admission, "agentId" | "sessionId">> = []
  const windows: Array<{ readonly pair: number; readonly tool: string }> = []
  const pairIds = new Map<string, number>()
  const windowIds = new Map<string, number>()
  const windowOf: Array<number> = []
  const pairOf = requests.map(({ agentId, sessionId, tool }) => {
    // Identifiers hold no control characters.
    const key = `${agentId}\n${sessionId ?? ""}`
    let pair = pairIds.get(key)
    if (pair === undefined) {
      pair = pairs.push({ agentId, sessionId })
      pairIds.set(key, pair)
    }
    if (tool === null) windowOf.push(0)
    else {
      const windowKey = `${pair}\n${tool}`
      let window = windowIds.get(windowKey)
      if (window === undefined) {
        window = windows.push({ pair, tool: storable(tool.toLowerCase()) })
        windowIds.set(windowKey, window)
      }
      windowOf.push(window)
    }
    return pair
  })
  return { pairs, pairOf, windows, windowOf }
}
