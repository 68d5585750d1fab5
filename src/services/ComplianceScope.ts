import { Effect, Schema } from "effect"
import { AgentId, agentChain, type ChainId, operatorChain, SessionId, sessionChain } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { NotRecorded } from "../schema/NotRecorded.ts"
import type { ReportFilter, RowRole } from "../schema/ReportTally.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import type { AuditStore } from "./AuditStore.ts"
import { everyChain } from "./ChainHeads.ts"

/** What a report or a bundle is about. Times are milliseconds since the epoch, both ends included. */
export interface EvidenceRequest {
  readonly sessionIds?: ReadonlyArray<string> | undefined
  readonly agentId?: string | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
}

export interface EvidenceScope {
  readonly sessions: ReadonlyArray<SessionId> | null
  readonly agent: AgentId | null
  readonly filter: ReportFilter
}

/** A chain to be read up to a row that was there when reading began: what is appended meanwhile is not part of it. */
export interface ChainPart {
  readonly chain: ChainId
  readonly role: RowRole
  readonly toSeq: number
}

export const decodeScope = Effect.fnUntraced(function* (request: EvidenceRequest) {
  const sessions =
    request.sessionIds === undefined
      ? null
      : yield* Effect.forEach(new Set(request.sessionIds), (id) => decodeArgument(SessionId, "sessionIds", id))
  if (sessions !== null && sessions.length === 0) {
    return yield* new InvalidInput({ field: "sessionIds", problem: "is empty; leave it out for every session" })
  }
  const agent = request.agentId === undefined ? null : yield* decodeArgument(AgentId, "agentId", request.agentId)
  const fromMs = yield* instant("from", request.fromMs)
  const toMs = yield* instant("to", request.toMs)
  if (fromMs !== null && toMs !== null && fromMs > toMs) {
    return yield* new InvalidInput({ field: "from", problem: "is later than to" })
  }
  return { sessions, agent, filter: { agentId: agent, fromMs, toMs } } satisfies EvidenceScope
})

/**
 * The chains that a scope is about: the sessions named; else every chain in which the agent appears; else every chain. Chains
 * in `known` are read as well, so that one that has lost its rows is missed.
 */
export const chainsInScope = Effect.fnUntraced(function* (
  store: AuditStore["Service"],
  scope: EvidenceScope,
  known: ReadonlyArray<ChainId>
) {
  if (scope.sessions !== null) return scope.sessions.map(sessionChain)
  const all = new Set([...(yield* everyChain(store)), ...known])
  all.delete(operatorChain)
  const { agent } = scope
  if (agent === null) return [...all].sort()
  const own = agentChain(agent)
  const appears = (chain: ChainId) =>
    chain === own
      ? Effect.succeed(true)
      : chain.startsWith("agent:")
        ? Effect.succeed(false)
        : Effect.map(store.find({ chain, agentId: agent, limit: 1 }), (rows) => rows.length > 0)
  return yield* Effect.filter([...all].sort(), appears, { concurrency: 4 })
})

/** The chains that belong to what the scope names; null for every chain. */
export const chainsNamed = ({ agent, sessions }: EvidenceScope): ReadonlyArray<ChainId> | null =>
  sessions !== null ? sessions.map(sessionChain) : agent !== null ? [agentChain(agent)] : null

/**
 * Fails for a session or an agent that was named and has no row: evidence about a slip of the pen would look like evidence.
 * Rows that were pruned count, and so do rows that a checkpoint knows: that those are missing is the very thing to be said.
 */
export const recordedOrFail = Effect.fnUntraced(function* (
  store: AuditStore["Service"],
  { agent, sessions }: EvidenceScope,
  parts: ReadonlyArray<ChainPart>,
  known: ReadonlyArray<ChainId>
) {
  const exists = new Set([...parts.filter(({ toSeq }) => toSeq > 0).map(({ chain }) => chain), ...known])
  for (const id of sessions ?? []) {
    if (!exists.has(sessionChain(id))) return yield* new NotRecorded({ what: "session", id })
  }
  if (agent === null) return
  if (sessions === null) {
    if (exists.size === 0) return yield* new NotRecorded({ what: "agent", id: agent })
    return
  }
  for (const { chain } of parts) {
    if ((yield* store.find({ chain, agentId: agent, limit: 1 })).length > 0) return
  }
  return yield* new NotRecorded({ what: "agent", id: agent })
})

/** A head that was deleted or turned back hides no rows: the last one present counts as well. */
export const partOf = (store: AuditStore["Service"], role: RowRole) =>
  Effect.fnUntraced(function* (chain: ChainId): Effect.fn.Return<ChainPart, StoreError> {
    const { seq } = yield* store.head(chain)
    const [last] = yield* store.find({ chain, newestFirst: true, limit: 1 })
    return { chain, role, toSeq: Math.max(seq, last?.seq ?? 0) }
  })

const isInstant = Schema.is(Schema.Int.check(Schema.isBetween({ minimum: -8.64e15, maximum: 8.64e15 })))

const instant = (field: string, value: number | undefined) =>
  value === undefined
    ? Effect.succeed(null)
    : isInstant(value)
      ? Effect.succeed(value)
      : Effect.fail(new InvalidInput({ field, problem: "is no time in milliseconds" }))
