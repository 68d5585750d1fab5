import { Effect, Option, Schema, Stream } from "effect"
import { ChainIntegrityError } from "../schema/AuditError.ts"
import { recordOf } from "../schema/AuditReading.ts"
import type { AuditRecord } from "../schema/AuditRecord.ts"
import { checkRow, sameBytes, type Verifier } from "../schema/Chain.ts"
import {
  type ChainBreak,
  type ChainReport,
  type ChainResult,
  isTampering,
  verdictOf,
  worst
} from "../schema/ChainReport.ts"
import type { ChainHead, ChainRow } from "../schema/Envelope.ts"
import { ChainId, EventId, operatorChain, SessionId, sessionChain } from "../schema/Ids.ts"
import { markerKind } from "../schema/RotationMarker.ts"
import { type SignatureStatus, type SignatureVerdict, statusOf } from "../schema/SignatureStatus.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { type AuditQuery, AuditStore, type ChainPosition } from "./AuditStore.ts"
import { tail } from "./AuditTail.ts"
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
  const keys = yield* ChainKeys
  const { hash, macFor } = keys
  /** Opened for each verification: keys are registered and revoked while this process runs. */
  const openJudge = yield* SignatureJudge.make(hash)

  const verifierWith = (judge: Judge, verdicts: SignatureJudge.Verdicts): Verifier => ({
    hash,
    macFor,
    signature: SignatureJudge.signatureOf(judge, verdicts)
  })

  const checked = (row: ChainRow, before: Parameters<typeof checkRow>[1], verifier: Verifier) => {
    const found = checkRow(row, before, verifier)
    return row.kind === markerKind ? [...found, ...RotationProof.markerBreaks(row, keys)] : found
  }

  /** Every finding of one chain, row by row, then the comparison of its end with the head. */
  const check = (
    judge: Judge,
    chain: ChainId,
    range: { readonly fromSeq: number; readonly toSeq: number | undefined },
    visit: Visit
  ): Effect.Effect<Option.Option<ChainBreak>, ChainIntegrityError | StoreError> =>
    Effect.gen(function* () {
      // Read before the rows: what is appended meanwhile lies behind it, and is no contradiction.
      const head = yield* store.head(chain)
      // A range is bound to the row before it, which is checked as well.
      const fromSeq = Math.max(1, range.fromSeq - 1)
      const read: { last: ChainHead | null | undefined; atHead: ChainRow | undefined } = {
        last: fromSeq === 1 ? null : undefined,
        atHead: undefined
      }
      const checkPage = (rows: ReadonlyArray<ChainRow>, verdicts: SignatureJudge.Verdicts) => {
        const verifier = verifierWith(judge, verdicts)
        // One effect for a page, unless a row has something to say: an effect for each would cost half as much as its digests.
        const said: Array<Effect.Effect<void, ChainIntegrityError>> = []
        for (const row of rows) {
          const found = checked(row, read.last, verifier)
          read.last = row
          if (row.seq === head.seq) read.atHead = row
          const effect = visit(row, found, verdicts.get(row))
          if (effect !== undefined) said.push(effect)
        }
        return said.length === 0 ? Effect.void : Effect.all(said, { discard: true })
      }
      yield* Stream.runForEachArray(store.rows(chain, { fromSeq, toSeq: range.toSeq }), (rows) => {
        const judging = judge?.judge(rows)
        return judging === undefined
          ? checkPage(rows, SignatureJudge.noVerdicts)
          : Effect.flatMap(judging, (verdicts) => checkPage(rows, verdicts))
      })
      if (range.toSeq !== undefined && range.toSeq < head.seq) return Option.none()
      const lastSeq = read.last?.seq ?? 0
      const { atHead } = read
      const endsElsewhere =
        lastSeq < head.seq ||
        (atHead !== undefined && !(head.hash !== null && sameBytes(atHead.hash, head.hash))) ||
        (lastSeq > head.seq && (yield* store.head(chain)).seq < lastSeq)
      return endsElsewhere
        ? Option.some<ChainBreak>({
            chain,
            seq: Math.min(lastSeq, head.seq) + (lastSeq === head.seq ? 0 : 1),
            problem: "head"
          })
        : Option.none()
    })

  const failAt = (found: ChainBreak) => Effect.fail(new ChainIntegrityError(found))

  const failFirst = (_: ChainRow, found: ReadonlyArray<ChainBreak>) => {
    const first = found.find(isTampering) ?? found[0]
    return first === undefined ? undefined : failAt(first)
  }

  const verifyOne = Effect.fnUntraced(function* (judge: Judge, chain: ChainId, range: Range) {
    const end = yield* check(judge, chain, { fromSeq: range.fromSeq ?? 1, toSeq: range.toSeq }, failFirst)
    if (Option.isSome(end)) return yield* failAt(end.value)
  })

  /** Every chain that has a head or rows: a chain whose head was deleted is found by its rows. */
  const allChains = Effect.gen(function* () {
    const chains = new Set<ChainId>((yield* store.movedSince(0)).map((moved) => moved.chain))
    let after: ChainId | null = null
    for (;;) {
      const page: ReadonlyArray<ChainPosition> = yield* store.heads(after, headPage)
      for (const { chain } of page) chains.add(chain)
      if (page.length < headPage) return [...chains].sort()
      after = page[page.length - 1]!.chain
    }
  })

  const verifyChain = Effect.fn("Audit.verifyChain")(function* (range: Range = {}) {
    const wanted = chainOf(range)
    const chains = wanted === undefined ? yield* allChains : Option.toArray(wanted)
    const judge = yield* openJudge
    yield* Effect.forEach(chains, (chain) => verifyOne(judge, chain, range), { discard: true, concurrency: atOnce })
    return true as const
  })

  const traceSessionChain = Effect.fn("Audit.traceSessionChain")(function* (sessionId: string) {
    const chain = chainOf({ sessionId })
    if (chain === undefined || Option.isNone(chain)) return []
    const rows: Array<ChainRow> = []
    const end = yield* check(yield* openJudge, chain.value, { fromSeq: 1, toSeq: undefined }, (row, found) => {
      rows.push(row)
      return failFirst(row, found)
    })
    if (Option.isSome(end)) return yield* failAt(end.value)
    return rows.map(recordOf)
  })

  const trace = Effect.fn("Audit.trace")(function* (eventId: string) {
    const judge = yield* openJudge
    const path: Array<AuditRecord> = []
    const seen = new Set<string>()
    let next = Option.getOrUndefined(eventIdOf(eventId))
    let chain: ChainId | undefined
    while (next !== undefined && !seen.has(next)) {
      seen.add(next)
      const rows: ReadonlyArray<ChainRow> = yield* store.byId(next)
      const row: ChainRow | undefined = rows.find((one) => one.chain === chain) ?? rows[0]
      if (row === undefined) break
      const verdicts: SignatureJudge.Verdicts = yield* judge?.judge([row]) ?? Effect.succeed(SignatureJudge.noVerdicts)
      yield* failFirst(row, checked(row, undefined, verifierWith(judge, verdicts))) ?? Effect.void
      path.push(recordOf(row))
      chain = row.chain
      next = row.parent ?? undefined
    }
    return path
  })

  const getEvents = Effect.fn("Audit.getEvents")(function* (query: AuditQuery) {
    const rows = yield* store.find(query)
    if (options.verifyOnRead) {
      const judge = yield* openJudge
      const chains = new Set(rows.map((row) => row.chain))
      yield* Effect.forEach(chains, (chain) => verifyOne(judge, chain, {}), { discard: true })
    }
    return rows.map(recordOf)
  })

  const report = Effect.fn("Audit.report")(function* (
    wanted: { readonly chain?: string; readonly onProgress?: (rows: number) => Effect.Effect<void> } = {}
  ) {
    const only = wanted.chain === undefined ? undefined : chainIdOf(wanted.chain)
    const chains = only === undefined ? yield* allChains : Option.toArray(only)
    const judge = yield* openJudge
    const signatures = new Map<SignatureStatus, number>()
    const keyIds = new Set<string>()
    const signers = new Set<string>()
    const late: Array<ChainReport["late"]["first"][number]> = []
    const retired = RotationProof.retirements(yield* store.find({ chain: operatorChain, kinds: [markerKind] }))
    let lateRows = 0
    let total = 0

    const examine = Effect.fnUntraced(function* (chain: ChainId) {
      const breaks: Array<ChainBreak> = []
      let rows = 0
      let lastSeq = 0
      let unjudged = 0
      let reason: string | null = null
      const end = yield* Effect.catchTag(
        check(judge, chain, { fromSeq: 1, toSeq: undefined }, (row, found, verdict) => {
          rows++
          total++
          if (judge !== null) SignatureJudge.count(signatures, statusOf(row, judge.keys, verdict))
          lastSeq = row.seq
          if (RotationProof.isLate(row, retired) && ++lateRows <= shownLate) {
            late.push({ chain, seq: row.seq, keyId: row.keyId })
          }
          for (const one of found) {
            reason ??= RotationProof.reasonOf(one, row)
            if (isTampering(one)) breaks.push(one)
            else {
              unjudged++
              if (one.problem === "unknownKey") keyIds.add(one.keyId ?? row.keyId)
              else if (row.signer !== null) signers.add(row.signer)
            }
          }
          return wanted.onProgress !== undefined && total % progressEvery === 0 ? wanted.onProgress(total) : undefined
        }),
        "ChainIntegrityError",
        Effect.die
      )
      if (Option.isSome(end)) breaks.push(end.value)
      return {
        breaks,
        reason: reason ?? (Option.isSome(end) ? end.value.problem : null),
        result: { chain, rows, lastSeq, unjudged, verdict: verdictOf(breaks.length, unjudged) }
      }
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

type Judge = SignatureJudge.SignatureJudge | null
type Visit = (
  row: ChainRow,
  found: ReadonlyArray<ChainBreak>,
  verdict: SignatureVerdict | undefined
) => Effect.Effect<void, ChainIntegrityError> | undefined

/** Chains read at the same time: while one page is on its way, another is checked. */
const atOnce = 4
const headPage = 1_000
const progressEvery = 10_000
const shownLate = 100

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
