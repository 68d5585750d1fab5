import { Effect, Option, Schema, Stream } from "effect"
import { ChainIntegrityError } from "../schema/AuditError.ts"
import { sessionClosed } from "../schema/AuditEvent.ts"
import { recordOf } from "../schema/AuditReading.ts"
import type { AuditRecord } from "../schema/AuditRecord.ts"
import {
  type ChainBreak,
  type ChainReport,
  type ChainResult,
  isTampering,
  verdictOf,
  worst
} from "../schema/ChainReport.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import { ChainId, EventId, operatorChain, SessionId, sessionChain } from "../schema/Ids.ts"
import { type SignatureStatus, statusOf } from "../schema/SignatureStatus.ts"
import { type AuditQuery, AuditStore } from "./AuditStore.ts"
import { tail } from "./AuditTail.ts"
import * as ChainCheck from "./ChainCheck.ts"
import { everyChain } from "./ChainHeads.ts"
import { ChainKeys } from "./ChainKeys.ts"
import * as RotationProof from "./RotationProof.ts"
import * as SignatureJudge from "./SignatureJudge.ts"

export interface Range {
  readonly sessionId?: string
  readonly chain?: string
  readonly fromSeq?: number
  readonly toSeq?: number
}

/** Everything that reads the log: verification, traces, reports and the tail. */
export const make = Effect.fnUntraced(function* (options: { readonly verifyOnRead: boolean }) {
  const store = yield* AuditStore
  const { macFor } = yield* ChainKeys
  const open = yield* ChainCheck.make

  const failAt = (found: ChainBreak) => Effect.fail(new ChainIntegrityError(found))

  const failFirst = (_: ChainRow, found: ReadonlyArray<ChainBreak>) => {
    const first = found.find(isTampering) ?? found[0]
    return first === undefined ? undefined : failAt(first)
  }

  const verifyOne = Effect.fnUntraced(function* (check: ChainCheck.ChainCheck, chain: ChainId, range: Range) {
    const { end } = yield* check.chain(chain, { fromSeq: range.fromSeq ?? 1, toSeq: range.toSeq }, failFirst)
    if (Option.isSome(end)) return yield* failAt(end.value)
  })

  const allChains = Effect.map(everyChain(store), (chains) => [...chains].sort())

  const verifyChain = Effect.fn("Audit.verifyChain")(function* (range: Range = {}) {
    const wanted = chainOf(range)
    const chains = wanted === undefined ? yield* allChains : Option.toArray(wanted)
    const check = yield* open
    yield* Effect.forEach(chains, (chain) => verifyOne(check, chain, range), { discard: true, concurrency: atOnce })
    return true as const
  })

  const traceSessionChain = Effect.fn("Audit.traceSessionChain")(function* (sessionId: string) {
    const chain = chainOf({ sessionId })
    if (chain === undefined || Option.isNone(chain)) return []
    const rows: Array<ChainRow> = []
    const check = yield* open
    const { end } = yield* check.chain(chain.value, { fromSeq: 1, toSeq: undefined }, (row, found) => {
      rows.push(row)
      return failFirst(row, found)
    })
    if (Option.isSome(end)) return yield* failAt(end.value)
    return rows.map(recordOf)
  })

  const trace = Effect.fn("Audit.trace")(function* (eventId: string) {
    const check = yield* open
    const path: Array<AuditRecord> = []
    const seen = new Set<string>()
    let next = Option.getOrUndefined(eventIdOf(eventId))
    let chain: ChainId | undefined
    while (next !== undefined && !seen.has(next)) {
      seen.add(next)
      const rows: ReadonlyArray<ChainRow> = yield* store.byId(next)
      const row: ChainRow | undefined = rows.find((one) => one.chain === chain) ?? rows[0]
      if (row === undefined) break
      yield* failFirst(row, yield* check.row(row)) ?? Effect.void
      path.push(recordOf(row))
      chain = row.chain
      next = row.parent ?? undefined
    }
    return path
  })

  const getEvents = Effect.fn("Audit.getEvents")(function* (query: AuditQuery) {
    const rows = yield* store.find(query)
    if (options.verifyOnRead) {
      const check = yield* open
      const chains = new Set(rows.map((row) => row.chain))
      yield* Effect.forEach(chains, (chain) => verifyOne(check, chain, {}), { discard: true })
    }
    return rows.map(recordOf)
  })

  const report = Effect.fn("Audit.report")(function* (
    wanted: { readonly chain?: string; readonly onProgress?: (rows: number) => Effect.Effect<void> } = {}
  ) {
    const only = wanted.chain === undefined ? undefined : chainIdOf(wanted.chain)
    const chains = only === undefined ? yield* allChains : Option.toArray(only)
    const check = yield* open
    const { judge } = check
    const signatures = new Map<SignatureStatus, number>()
    const keyIds = new Set<string>()
    const signers = new Set<string>()
    const late: Array<ChainReport["late"]["first"][number]> = []
    const retired = yield* Stream.runFold(
      store.rows(operatorChain),
      (): RotationProof.Retirements => new Map(),
      RotationProof.retire
    )
    let lateRows = 0
    let total = 0

    const examine = Effect.fnUntraced(function* (chain: ChainId) {
      const breaks: Array<ChainBreak> = []
      let rows = 0
      let lastSeq = 0
      let unjudged = 0
      let reason: string | null = null
      let closedAt = 0
      const { end, pruned } = yield* Effect.catchTag(
        check.chain(chain, { fromSeq: 1, toSeq: undefined }, (row, found, verdict) => {
          rows++
          total++
          if (judge !== null) SignatureJudge.count(signatures, statusOf(row, judge.keys, verdict))
          lastSeq = row.seq
          if (closedAt === 0 && row.kind === sessionClosed && row.session !== null) closedAt = row.seq
          if (RotationProof.isLate(row, retired) && ++lateRows <= shownLate) {
            late.push({ chain, seq: row.seq, keyId: row.keyId })
          }
          for (const one of found) {
            reason ??= RotationProof.reasonOf(one, row)
            if (isTampering(one)) breaks.push(one)
            else {
              unjudged++
              if (one.problem === "unknownKey") note(keyIds, one.keyId ?? row.keyId)
              else if (row.signer !== null) note(signers, row.signer)
            }
          }
          return wanted.onProgress !== undefined && total % progressEvery === 0 ? wanted.onProgress(total) : undefined
        }),
        "ChainIntegrityError",
        Effect.die
      )
      if (Option.isSome(end)) breaks.push(end.value)
      if (pruned?.judged === false) unjudged++
      const result: ChainResult = {
        chain,
        rows,
        lastSeq,
        unjudged,
        verdict: verdictOf(breaks.length, unjudged),
        ...(pruned === undefined ? {} : { pruned: { toSeq: pruned.seq, sealSeq: pruned.sealSeq } }),
        ...(closedAt === 0 ? {} : { closed: { seq: closedAt, rowsAfter: lastSeq - closedAt } })
      }
      return { breaks, reason: reason ?? (Option.isSome(end) ? end.value.problem : null), result }
    })

    const examined = yield* Effect.forEach(chains, examine, { concurrency: atOnce })
    const results: ReadonlyArray<ChainResult> = examined.map(({ result }) => result)
    if (wanted.onProgress !== undefined) yield* wanted.onProgress(total)
    return {
      verdict: worst(results.map((result) => result.verdict)),
      rows: total,
      chains: results,
      breaks: examined.flatMap(({ breaks }) => breaks),
      unresolvedKeyIds: [...keyIds].sort(),
      unresolvedSigners: [...signers].sort(),
      ...(judge === null ? {} : { signatures: Object.fromEntries(signatures) }),
      authenticated: macFor !== null,
      rotationAware: true,
      firstFailureReason: examined.find(({ reason }) => reason !== null)?.reason ?? null,
      late: { rows: lateRows, first: late }
    } satisfies ChainReport
  })

  return { verifyChain, traceSessionChain, trace, getEvents, report, tail: tail(store) }
})

/** Chains read at the same time: while one page is on its way, another is checked. */
const atOnce = 3
const progressEvery = 10_000
const shownLate = 100
/** Whoever may append can name a key of nobody's in every row: the set stays bounded (ROT-05). */
const mostNamed = 1_000
const note = (names: Set<string>, name: string) => void (names.size < mostNamed && names.add(name))

const chainIdOf = Schema.decodeUnknownOption(ChainId)
const eventIdOf = Schema.decodeUnknownOption(EventId)
const sessionIdOf = Schema.decodeUnknownOption(SessionId)

/** Undefined: every chain. None: what was asked for cannot exist. */
const chainOf = (range: Range): Option.Option<ChainId> | undefined =>
  range.chain !== undefined
    ? chainIdOf(range.chain)
    : range.sessionId !== undefined
      ? Option.map(sessionIdOf(range.sessionId), sessionChain)
      : undefined
