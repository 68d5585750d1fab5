import { DateTime, Schema } from "effect"
import type { Admission, Settled, Settlement, Verdict } from "../../schema/Call.ts"
import { BudgetCap } from "../../schema/Cost.ts"
import { AgentId, OperatorId, type TicketId } from "../../schema/Ids.ts"
import type { LoopStep } from "../../schema/Loop.ts"
import { NanoUsd } from "../../schema/Money.ts"
import { int4s, int8s, texts, uuids } from "./PgArrays.ts"

/** The statements of admission, and how their parameters and rows look on the wire. Binary arrays throughout. */
export const make = (prefix: string) => ({
  admit: `SELECT verdicts, days, held_usd, held_tokens, details, recent_of, recent_signatures, recent_results
    FROM ${prefix}governance_admit($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`,
  admitOne: `SELECT verdict, day, held_usd, held_tokens, detail, recent_signatures, recent_results
    FROM ${prefix}governance_admit_one($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`,
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

/** What the store answers for one call: a verdict, or that the call does not belong where it says. */
export type Answer = Verdict | { readonly _tag: "Foreign" }

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

export const answerOf = (row: ReadonlyArray<unknown> | undefined): Answer => {
  const [verdict, day, usd, tokens, detail, signatures, results] = row ?? []
  const hashes = list(results)
  const steps = list(signatures).map((signature, index) => stepOf(signature, hashes[index]))
  return verdictOf(String(verdict).replace("=", ""), day, usd, tokens, detail ?? null, steps)
}

/** The answers of one `governance_admit`, with each session's calls of this very batch added to the last ones it returns. */
export const answersOf = (
  requests: ReadonlyArray<Admission>,
  row: ReadonlyArray<unknown> | undefined
): ReadonlyArray<Answer> => {
  const [verdicts, days, usd, tokens, details, of, signatures, results] = (row ?? []).map(list)
  const recent = new Map<number, Array<LoopStep>>()
  of?.forEach((key, index) => {
    const steps = recent.get(Number(key)) ?? []
    steps.push(stepOf(signatures?.[index], results?.[index]))
    recent.set(Number(key), steps)
  })
  const { pairOf } = grouped(requests)
  return requests.map((request, index): Answer => {
    const verdict = String(verdicts?.[index])
    const known = verdict.startsWith("=")
    const pair = pairOf[index]!
    const steps = recent.get(known ? -(index + 1) : pair) ?? []
    const answer = verdictOf(
      known ? verdict.slice(1) : verdict,
      days?.[index],
      usd?.[index],
      tokens?.[index],
      details?.[index] ?? null,
      steps
    )
    if (answer._tag === "Admitted" && !known && request.tool !== null) {
      recent.set(pair, [...steps.slice(1 - recentCalls), { signature: request.signature, resultHash: null }])
    }
    return answer
  })
}

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

export const settledOneOf = ([outcome, usd, tokens]: ReadonlyArray<unknown> = []): Settled => ({
  usd: NanoUsd.make(amount(usd)),
  tokens: amount(tokens),
  outcome: outcome === "settled" || outcome === "late" || outcome === "already" ? outcome : "unknown"
})

export const settledOf = (row: ReadonlyArray<unknown> | undefined): ReadonlyArray<Settled> => {
  const [outcomes, usd, tokens] = (row ?? []).map(list)
  return (outcomes ?? []).map((outcome, index) => settledOneOf([outcome, usd?.[index], tokens?.[index]]))
}

/** What Postgres takes as text: a NUL or half a surrogate pair is written as its JSON escape (DEC-17). */
export const storable = (text: string): string =>
  text.isWellFormed() && !text.includes("\0") ? text : JSON.stringify(text)

const recentCalls = 32

/** The distinct (agent, session) pairs and loop windows of a batch; numbers count from 1, 0 is a call that no window counts. */
const grouped = (requests: ReadonlyArray<Admission>) => {
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

const stepOf = (signature: unknown, result: unknown): LoopStep => ({
  signature: String(signature),
  resultHash: typeof result === "string" ? result : null
})

const verdictOf = (
  tag: string,
  day: unknown,
  usd: unknown,
  tokens: unknown,
  detail: unknown,
  steps: ReadonlyArray<LoopStep>
): Answer => {
  switch (tag) {
    case "Admitted":
      return {
        _tag: "Admitted",
        heldUsd: NanoUsd.make(amount(usd)),
        heldTokens: amount(tokens),
        day: String(day),
        recent: steps,
        loop: detail === null ? null : decodeLoop(detail)
      }
    case "Halted":
      return { _tag: "Halted", halt: decodeHalt(detail) }
    case "Looping":
      return { _tag: "Looping", loop: decodeLoop(detail) }
    case "Short": {
      const { requested, ...short } = decodeShort(detail)
      return { _tag: "Short", short, requested }
    }
    default:
      return { _tag: "Foreign" }
  }
}

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])
const amount = (value: unknown): bigint => (typeof value === "bigint" ? value : 0n)

const decodeLoop = Schema.decodeUnknownSync(
  Schema.Struct({ count: Schema.Int, maxCalls: Schema.Int, windowSeconds: Schema.Int })
)

const BigIntText = Schema.BigIntFromString
const decodeShort = Schema.decodeUnknownSync(
  Schema.Struct({ cap: BudgetCap, policyOf: AgentId, limit: BigIntText, used: BigIntText, requested: BigIntText })
)

const StoredHalt = Schema.Struct({ agentId: AgentId, by: OperatorId, at: Schema.String, reason: Schema.String })
const decodeStoredHalt = Schema.decodeUnknownSync(StoredHalt)

/** A halt as `governance_trees.halts` holds it, with the agent it stands on. */
export const decodeHalt = (value: unknown) => {
  const { agentId, at, by, reason } = decodeStoredHalt(value)
  return { agentId, haltedBy: by, haltedAt: DateTime.toUtc(DateTime.makeUnsafe(at)), reason }
}
