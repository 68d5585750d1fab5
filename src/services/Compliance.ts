import { Cause, Context, Effect, Layer, Option, Schema, Stream } from "effect"
import { Hex } from "effect/encoding"
import { ChainIntegrityError } from "../schema/AuditError.ts"
import type { ChainBreak } from "../schema/ChainReport.ts"
import type { ComplianceReport } from "../schema/ComplianceReport.ts"
import { agentChain, ChainId, operatorChain } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { NotRecorded } from "../schema/NotRecorded.ts"
import { assembleReport, type ReadChain, type Verification } from "../schema/ReportAssembly.ts"
import { ReportTally } from "../schema/ReportTally.ts"
import { reportIdText } from "../schema/ReportText.ts"
import { shownText } from "../schema/ShownText.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import { AuditStore } from "./AuditStore.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { CheckpointProofs, type LatestCheckpoint, type PlacedLeaf } from "./CheckpointProofs.ts"
import {
  type ChainPart,
  chainsInScope,
  chainsNamed,
  decodeScope,
  type EvidenceRequest,
  partOf,
  recordedOrFail
} from "./ComplianceScope.ts"
import { CoverageStore } from "./CoverageStore.ts"
import { recordedCoverage } from "./RecordedCoverage.ts"
import { sealedStanding } from "./SealedStanding.ts"
import { SubjectKeyStore } from "./SubjectKeyStore.ts"

export interface ReportRequest extends EvidenceRequest {
  readonly format?: ComplianceReport["format"] | undefined
  /** The moment that the report says it is of; default: the time of its newest row, so that the same rows give the same report. */
  readonly atMs?: number | undefined
  readonly verifyChain?: boolean | undefined
}

/** A report and exactly what it was made of, for a bundle that must hold the same rows. */
export interface Examined {
  readonly report: ComplianceReport
  readonly parts: ReadonlyArray<ChainPart>
  readonly chains: ReadonlyArray<ReadChain>
  readonly checkpoint: LatestCheckpoint | null
  readonly leaves: ReadonlyArray<PlacedLeaf>
  /** Null when it was not asked for. */
  readonly verification: Verification | null
}

/** Reports over the audit log: what was recorded, how far it can be trusted, and what they do not cover. They never say that anybody meets a law (CMP-11). */
export class Compliance extends Context.Service<
  Compliance,
  {
    /** Exactly seven sections (CMP-08). Fails with InvalidInput when `verifyChain` is asked for without an audit module (CMP-10). */
    readonly generateArticle12: (
      request?: Omit<ReportRequest, "format">
    ) => Effect.Effect<ComplianceReport, InvalidInput | NotRecorded | StoreError>
    /** Exactly three sections about one agent (CMP-09). */
    readonly generateSummary: (
      agentId: string,
      request?: Omit<ReportRequest, "format" | "agentId">
    ) => Effect.Effect<ComplianceReport, InvalidInput | NotRecorded | StoreError>
    readonly examine: (request: ReportRequest) => Effect.Effect<Examined, InvalidInput | NotRecorded | StoreError>
  }
>()("effect-governance/services/Compliance") {}

export const make = Effect.gen(function* () {
  const store = yield* AuditStore
  const keys = yield* ChainKeys
  const checkpoints = yield* CheckpointProofs
  const subjects = yield* SubjectKeyStore
  const audit = Option.getOrUndefined(yield* Effect.serviceOption(Audit))
  const measuredCoverage = recordedCoverage(Option.getOrUndefined(yield* Effect.serviceOption(CoverageStore)))

  const examine = Effect.fn("Compliance.examine")(function* (request: ReportRequest) {
    if (request.verifyChain === true && audit === undefined) {
      return yield* new InvalidInput({ field: "verifyChain", problem: "needs the audit module, and there is none" })
    }
    const scope = yield* decodeScope(request)
    const tally = new ReportTally(scope.filter, keys.hash)
    const read: Array<ReadChain> = []

    // Before the heads: a leaf that was signed earlier cannot lie behind the rows that are read.
    const checkpoint = yield* checkpoints.latest
    const size = checkpoint?.body.size ?? 0
    const known = size > 0 ? yield* checkpoints.lastLeaves(size, chainsNamed(scope)) : []
    const knownChains = known.flatMap(({ chain }) => Option.toArray(chainIdOf(chain)))
    const chains = yield* chainsInScope(store, scope, knownChains)
    const primary = yield* Effect.forEach(chains, partOf(store, "scope"), { concurrency: 4 })
    yield* recordedOrFail(store, scope, primary, knownChains)
    const operator = yield* partOf(store, "operator")(operatorChain)

    const visit = Effect.fnUntraced(function* (part: ChainPart) {
      let first = 0
      yield* Stream.runForEachArray(store.rows(part.chain, { toSeq: part.toSeq }), (rows) =>
        Effect.sync(() => {
          first ||= rows[0]?.seq ?? 0
          for (const row of rows) tally.visit(row, part.role)
        })
      )
      tally.endOfChain()
      read.push({ chain: part.chain, firstSeq: first, lastSeq: part.toSeq, coveredTo: 0 })
    })

    yield* Effect.forEach(primary, visit, { discard: true })
    // Halts of an agent stand in its own chain, also when it worked in a session.
    const besides = scope.sessions === null ? [] : [...tally.agentIds].sort().map((id) => agentChain(id))
    const halts = yield* Effect.forEach(besides, partOf(store, "halts"), { concurrency: 4 })
    const others = [...halts, operator].filter(({ toSeq }) => toSeq > 0)
    yield* Effect.forEach(others, visit, { discard: true })

    const parts = [...primary, ...others]
    const leaves =
      size === 0
        ? []
        : yield* checkpoints.lastLeaves(
            size,
            parts.map(({ chain }) => chain)
          )
    const coveredTo = new Map<string, number>(leaves.map(({ chain, seq }) => [chain, seq]))
    const readChains = read.map((one) => ({ ...one, coveredTo: coveredTo.get(one.chain) ?? 0 }))
    const verification = request.verifyChain === true ? yield* verify(parts) : null
    const unnamed = assembleReport({
      format: request.format ?? "article12",
      deploymentId: yield* checkpoints.deploymentId,
      agentId: scope.agent,
      sessionIds: scope.sessions,
      fromMs: scope.filter.fromMs,
      toMs: scope.filter.toMs,
      atMs: request.atMs ?? null,
      tally,
      chains: readChains,
      checkpoint:
        checkpoint === null ? null : { origin: checkpoint.body.origin, size, root: Hex.encode(checkpoint.body.root) },
      verification,
      sealed: yield* sealedStanding(subjects, keys, tally.sealedBy),
      coverage: yield* measuredCoverage
    })
    const report = { ...unnamed, reportId: Hex.encode(keys.hash(reportIdText(unnamed))) }
    return { report, parts, chains: readChains, checkpoint, leaves, verification } satisfies Examined
  })

  /** A verification that could not be done is part of what a report says (CMP-12): it fails nothing. */
  const verify = Effect.fnUntraced(function* (parts: ReadonlyArray<ChainPart>) {
    if (audit === undefined)
      return { results: [], breaks: 0, findings: [], error: "there is no audit module", authenticated: false }
    return yield* Effect.forEach(parts, ({ chain }) => audit.report({ chain }), { concurrency: 2 }).pipe(
      Effect.map((reports): Verification => {
        const breaks = reports.flatMap((report) => report.breaks)
        return {
          results: reports.flatMap((report) => report.chains),
          breaks: breaks.length,
          findings: sentences(breaks, keys.hash),
          error: null,
          authenticated: reports.every((report) => report.authenticated)
        }
      }),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause)
          : Effect.as(Effect.logWarning("compliance.verification_failed", cause), {
              results: [],
              breaks: 0,
              findings: [],
              error: "reading the chains failed",
              authenticated: false
            })
      )
    )
  })

  const only = (request: ReportRequest) => Effect.map(examine(request), ({ report }) => report)

  return Compliance.of({
    examine,
    generateArticle12: (request = {}) => only({ ...request, format: "article12" }),
    generateSummary: (agentId, request = {}) => only({ ...request, agentId, format: "summary" })
  })
})

export const layer = Layer.effect(Compliance, make)

const maxFindings = 100
const chainIdOf = Schema.decodeUnknownOption(ChainId)

const sentences = (breaks: ReadonlyArray<ChainBreak>, hash: ChainKeys["Service"]["hash"]): ReadonlyArray<string> => [
  ...breaks.slice(0, maxFindings).map((found) => shownText(new ChainIntegrityError(found).message, 400, hash)),
  ...(breaks.length > maxFindings ? [`… and ${breaks.length - maxFindings} more.`] : [])
]
