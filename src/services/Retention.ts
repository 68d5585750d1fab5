// A root over thousands of rows is computed at once, like every hash of the log.
import { Clock, Context, Duration, Effect, Layer, Schema, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import type { ChainRow } from "../schema/Envelope.ts"
import { ChainId, EventId, OperatorId, operatorChain } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { prunedKind, sameSegment, sealedKind, segmentOf } from "../schema/Retention.ts"
import { RetentionRefused } from "../schema/RetentionError.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { AuditStore } from "./AuditStore.ts"
import { sha256 } from "./CheckpointKey.ts"
import * as OperatorRow from "./OperatorRow.ts"
import * as PooledRandom from "./PooledRandom.ts"
import {
  CheckpointCoverage,
  CheckpointObjections,
  type PrunedSegment,
  type PruneOptions,
  type PruneReport,
  type RetentionPlan,
  type RetentionWish
} from "./RetentionReport.ts"
import { type AgedRows, RetentionStore, type SealedSegment } from "./RetentionStore.ts"
import { Settings } from "./Settings.ts"
import { StoreTransaction } from "./StoreTransaction.ts"

export { CheckpointCoverage, CheckpointObjections } from "./RetentionReport.ts"

/** Takes old rows out of the log so that the rest still verifies and what has gone is still proved (BEY-12, A-29, CMP-15). */
export class Retention extends Context.Service<
  Retention,
  {
    /** What `prune` would take away now, and what it would leave. Changes nothing. */
    readonly plan: (wish: RetentionWish) => Effect.Effect<RetentionPlan, InvalidInput | StoreError>
    /**
     * Verifies, seals, archives and deletes, segment by segment; each step is one transaction, and a run that was cut off goes
     * on where it stopped. Needs the owner's connection. Chain `operator` is never pruned.
     */
    readonly prune: <E = never>(options: PruneOptions<E>) => Effect.Effect<PruneReport, InvalidInput | StoreError | E>
  }
>()("effect-governance/services/Retention") {}

export const make = Effect.gen(function* () {
  const store = yield* RetentionStore
  const log = yield* AuditStore
  const audit = yield* Audit
  const transaction = yield* StoreTransaction
  const settings = yield* Settings
  const random = yield* SecureRandom.SecureRandom
  const isCovered = yield* CheckpointCoverage
  const objections = yield* CheckpointObjections
  const record = yield* OperatorRow.make

  const aged = Effect.fnUntraced(function* (wish: RetentionWish) {
    const only = wish.chain === undefined ? undefined : yield* decodeArgument(ChainId, "chain", wish.chain)
    const ageMs = Duration.toMillis(wish.olderThan)
    if (!(ageMs > 0) || !Number.isFinite(ageMs)) {
      return yield* new InvalidInput({ field: "olderThan", problem: "must be a duration longer than zero" })
    }
    if (wish.allowShorter !== true && Duration.isLessThan(wish.olderThan, settings.minimumRetention)) {
      const days = Math.ceil(Duration.toDays(settings.minimumRetention))
      return yield* new InvalidInput({ field: "olderThan", problem: `is shorter than the minimum of ${days} days` })
    }
    if (only === operatorChain) return { ageMs, chains: [], never: [refuse("operatorChain", only)] }
    const beforeMs = (yield* Clock.currentTimeMillis) - ageMs
    const chains: Array<AgedRows> = []
    let after: ChainId | null = null
    for (;;) {
      const page: ReadonlyArray<AgedRows> = yield* store.aged(beforeMs, after, pageSize)
      chains.push(...page.filter(({ chain }) => only === undefined || chain === only))
      if (page.length < pageSize) return { ageMs, chains, never: [] }
      after = page[page.length - 1]!.chain
    }
  })

  const heldOn = Effect.fnUntraced(function* (rows: AgedRows) {
    const holds = yield* store.holdsOnRows(rows)
    return holds.length === 0 ? undefined : new RetentionRefused({ problem: "held", chain: rows.chain, holds })
  })

  const plan = Effect.fn("Retention.plan")(function* (wish: RetentionWish) {
    const { chains, never } = yield* aged(wish)
    const rows: Array<AgedRows> = []
    const refused: Array<RetentionRefused> = [...never]
    for (const chain of chains) {
      // A hold keeps its segment and what follows it, never what lies before.
      for (const part of parts(chain)) {
        const held = yield* heldOn(part)
        if (held !== undefined) {
          refused.push(held)
          break
        }
        rows.push(part)
      }
    }
    return { rows, refused }
  })

  /** The rows of a part that verify up to its end, or why they must not go. */
  const verified = Effect.fnUntraced(function* ({ chain, fromSeq, toSeq }: AgedRows) {
    yield* audit
      .verifyChain({ chain, toSeq })
      .pipe(
        Effect.catchTag("ChainIntegrityError", ({ problem }) =>
          Effect.fail(
            refuse(problem === "unknownKey" || problem === "unknownSigner" ? "unverifiable" : "tampered", chain)
          )
        )
      )
    const [first, ...rest] = yield* Stream.runCollect(log.rows(chain, { fromSeq, toSeq }))
    if (first === undefined || first.seq !== fromSeq || rest.length !== toSeq - fromSeq) {
      return yield* refuse("moved", chain)
    }
    return [first, ...rest] as const
  })

  const seal = Effect.fnUntraced(function* (rows: readonly [ChainRow, ...ReadonlyArray<ChainRow>], by: string) {
    const sealed: SealedSegment = { ...segmentOf(rows, sha256), seal: EventId.make(yield* random.uuidV7()) }
    const { seal: id, ...segment } = sealed
    yield* transaction.run(
      Effect.gen(function* () {
        const result = yield* store.seal(sealed)
        if (result !== "Sealed") return yield* refuse(result === "Behind" ? "moved" : "notOwner", sealed.chain)
        yield* record(sealedKind, { ...segment, by }, id)
      })
    )
    return sealed
  })

  const deleteRows = Effect.fnUntraced(function* (sealed: SealedSegment, ageMs: number, by: string) {
    const { chain } = sealed
    return yield* transaction.run(
      Effect.gen(function* () {
        const result = yield* store.prune(sealed, ageMs)
        switch (result._tag) {
          case "Pruned":
            yield* record(prunedKind, { ...sealed, by })
            return result.rows
          case "Held":
            return yield* refuse("held", chain)
          case "TooYoung":
            return yield* refuse("tooYoung", chain)
          case "Mismatch":
            return yield* refuse("mismatch", chain)
          case "NotOwner":
            return yield* refuse("notOwner", chain)
        }
      })
    )
  })

  /** One part of a chain: sealed unless it is already, archived, deleted. */
  const pruneOne = Effect.fnUntraced(function* <E>(
    part: AgedRows,
    ageMs: number,
    by: string,
    options: PruneOptions<E>
  ) {
    const held = yield* heldOn(part)
    if (held !== undefined) return yield* held
    const rows = yield* verified(part)
    const earlier = yield* store.unpruned(part.chain)
    if (earlier !== null && !sameSegment(earlier, segmentOf(rows, sha256))) return yield* refuse("mismatch", part.chain)
    const sealed = earlier ?? (yield* seal(rows, by))
    const [row] = yield* log.byId(sealed.seal, operatorChain)
    if (row === undefined) return yield* refuse("mismatch", part.chain)
    if (!(yield* isCovered(row.seq))) return { _tag: "Waiting", sealed } as const
    if (options.archive !== undefined) yield* options.archive(rows)
    return { _tag: "Pruned", segment: { ...sealed, rows: yield* deleteRows(sealed, ageMs, by) } } as const
  })

  const prune = Effect.fn("Retention.prune")(function* <E = never>(options: PruneOptions<E>) {
    const by = yield* decodeArgument(OperatorId, "by", options.by)
    const { ageMs, chains, never } = yield* aged(options)
    const pruned: Array<PrunedSegment> = []
    const waiting: Array<SealedSegment> = []
    const refused: Array<RetentionRefused> = [...never]
    // Whoever has the audit secret can write rows anew that verify; a checkpoint tells, as long as they are there (K-08).
    const contradicted = chains.length === 0 ? new Set<string>() : yield* objections
    for (const chain of chains) {
      if (contradicted.has(chain.chain)) {
        refused.push(refuse("tampered", chain.chain))
        continue
      }
      const earlier = yield* store.unpruned(chain.chain)
      if (earlier !== null && earlier.toSeq > chain.toSeq) {
        refused.push(refuse("tooYoung", chain.chain))
        continue
      }
      for (const part of parts(chain, earlier)) {
        const done = yield* Effect.catchIf(pruneOne(part, ageMs, by, options), isRefusal, (refusal) =>
          Effect.succeed({ _tag: "Refused", refusal } as const)
        )
        if (done._tag === "Pruned") pruned.push(done.segment)
        else {
          if (done._tag === "Waiting") waiting.push(done.sealed)
          else refused.push(done.refusal)
          break
        }
      }
    }
    return { pruned, waiting, refused }
  })

  return Retention.of({ plan, prune })
})

export const layer = Layer.effect(Retention, make).pipe(Layer.provide(PooledRandom.layer))

const refuse = (problem: RetentionRefused["problem"], chain: string) =>
  new RetentionRefused({ problem, chain, holds: [] })
const isRefusal = Schema.is(RetentionRefused)

/** One segment is one transaction: it must fit into a statement's time, also where the server is slow. */
const segmentRows = 2_000
const pageSize = 500

/** The rows in segments, the first of them as it was sealed by a run that was cut off. */
const parts = ({ chain, fromSeq, toSeq }: AgedRows, earlier?: SealedSegment | null): ReadonlyArray<AgedRows> => {
  const found: Array<AgedRows> = []
  let from = fromSeq
  if (earlier != null && earlier.fromSeq === from && earlier.toSeq <= toSeq) {
    found.push({ chain, fromSeq: from, toSeq: earlier.toSeq })
    from = earlier.toSeq + 1
  }
  for (; from <= toSeq; from += segmentRows) {
    found.push({ chain, fromSeq: from, toSeq: Math.min(toSeq, from + segmentRows - 1) })
  }
  return found
}
