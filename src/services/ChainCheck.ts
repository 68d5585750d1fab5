import { Effect, Option, Stream } from "effect"
import type { ChainIntegrityError } from "../schema/AuditError.ts"
import { checkRow, sameBytes, type Verifier } from "../schema/Chain.ts"
import type { ChainBreak } from "../schema/ChainReport.ts"
import type { ChainHead, ChainRow } from "../schema/Envelope.ts"
import type { ChainId } from "../schema/Ids.ts"
import { markerKind } from "../schema/RotationMarker.ts"
import type { SignatureVerdict } from "../schema/SignatureStatus.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AuditStore } from "./AuditStore.ts"
import { ChainKeys } from "./ChainKeys.ts"
import * as LoggedRevocations from "./LoggedRevocations.ts"
import * as PrunedRanges from "./PrunedRanges.ts"
import * as RotationProof from "./RotationProof.ts"
import * as SignatureJudge from "./SignatureJudge.ts"

type Visit = (
  row: ChainRow,
  found: ReadonlyArray<ChainBreak>,
  verdict: SignatureVerdict | undefined
) => Effect.Effect<void, ChainIntegrityError> | undefined

interface Range {
  readonly fromSeq: number
  readonly toSeq: number | undefined
}

/** One verification, with the keys and the prunings that were known when it began or became known while it ran. */
export interface ChainCheck {
  /** Null where no registry of agents' keys is at hand. */
  readonly judge: SignatureJudge.SignatureJudge | null
  /** Every finding of one chain, row by row, then the comparison of its end with the head. */
  readonly chain: (
    chain: ChainId,
    range: Range,
    visit: Visit
  ) => Effect.Effect<
    { readonly end: Option.Option<ChainBreak>; readonly pruned: PrunedRanges.Pruned | undefined },
    ChainIntegrityError | StoreError
  >
  /** The findings of one row alone. */
  readonly row: (row: ChainRow) => Effect.Effect<ReadonlyArray<ChainBreak>, StoreError>
}

/** Opened for each verification: keys are registered and revoked, and rows are pruned, while this process runs. */
export const make = Effect.gen(function* () {
  const store = yield* AuditStore
  const keys = yield* ChainKeys
  const { hash, macFor } = keys
  const openJudge = yield* SignatureJudge.make(hash, LoggedRevocations.read(store, { hash, macFor }))

  return Effect.map(openJudge, (judge): ChainCheck => {
    const ranges = PrunedRanges.make(store, { hash, macFor })

    const verifierWith = (verdicts: SignatureJudge.Verdicts): Verifier => ({
      hash,
      macFor,
      signature: SignatureJudge.signatureOf(judge, verdicts)
    })

    const checked = (row: ChainRow, before: Parameters<typeof checkRow>[1], verifier: Verifier) => {
      const found = checkRow(row, before, verifier)
      return row.kind === markerKind ? [...found, ...RotationProof.markerBreaks(row, keys)] : found
    }

    const chain = Effect.fnUntraced(function* (id: ChainId, range: Range, visit: Visit) {
      let pruned: PrunedRanges.Pruned | undefined
      // Read before the rows: what is appended meanwhile lies behind it, and is no contradiction.
      const head = yield* store.head(id)
      // A range is bound to the row before it, which is checked as well.
      const fromSeq = Math.max(1, range.fromSeq - 1)
      const read: { last: ChainHead | null | undefined; atHead: ChainRow | undefined } = {
        last: fromSeq === 1 ? null : undefined,
        atHead: undefined
      }
      const unsigned = verifierWith(SignatureJudge.noVerdicts)
      const checkPage = (rows: ReadonlyArray<ChainRow>, verdicts: SignatureJudge.Verdicts) => {
        const verifier = verdicts.size === 0 ? unsigned : verifierWith(verdicts)
        // One effect for a page, unless a row has something to say: an effect for each would cost half as much as its digests.
        const said: Array<Effect.Effect<void, ChainIntegrityError>> = []
        for (const row of rows) {
          const found = checked(row, read.last, verifier)
          read.last = row
          if (row.seq === head.seq) read.atHead = row
          const effect = visit(row, found, verdicts.size === 0 ? undefined : verdicts.get(row))
          if (effect !== undefined) said.push(effect)
        }
        return said.length === 0 ? Effect.void : Effect.all(said, { discard: true })
      }
      /** A seal stands in for the rows up to this one, if there is one. */
      const pass = (seq: number) =>
        Effect.map(ranges.endingAt(id, seq), (found) => {
          if (found !== undefined) read.last = pruned = found
        })
      yield* Stream.runForEachArray(store.rows(id, { fromSeq, toSeq: range.toSeq }), (rows) => {
        // What stands before a range MUST be there too, or rows that are gone at its edge would not be missed.
        if (read.last === undefined && rows[0] !== undefined && rows[0].seq > fromSeq) {
          read.last = { seq: fromSeq - 1, hash: null, atMs: 0 }
        }
        const gap = PrunedRanges.gapBefore(rows, read.last)
        const judging = judge?.judge(rows)
        if (gap === undefined && judging === undefined) return checkPage(rows, SignatureJudge.noVerdicts)
        return Effect.andThen(
          gap === undefined ? Effect.void : pass(gap),
          Effect.flatMap(judging ?? Effect.succeed(SignatureJudge.noVerdicts), (verdicts) => checkPage(rows, verdicts))
        )
      })
      const lastDue = Math.min(head.seq, range.toSeq ?? head.seq)
      if (read.last == null && lastDue < fromSeq) return { end: Option.none(), pruned }
      if (read.last == null) yield* pass(lastDue)
      const lastSeq = read.last?.seq ?? fromSeq - 1
      if (lastDue < head.seq) {
        const missing = lastSeq < lastDue && ((yield* ranges.end(id))?.seq ?? 0) < lastDue
        return {
          end: missing ? Option.some<ChainBreak>({ chain: id, seq: lastSeq + 1, problem: "gap" }) : Option.none(),
          pruned
        }
      }
      const endHash = read.atHead?.hash ?? (pruned?.seq === head.seq ? pruned.hash : null)
      const endsElsewhere =
        lastSeq < head.seq ||
        (endHash !== null && !(head.hash !== null && sameBytes(endHash, head.hash))) ||
        (lastSeq > head.seq && (yield* store.head(id)).seq < lastSeq)
      const end = endsElsewhere
        ? Option.some<ChainBreak>({
            chain: id,
            seq: Math.min(lastSeq, head.seq) + (lastSeq === head.seq ? 0 : 1),
            problem: "head"
          })
        : Option.none()
      return { end, pruned }
    })

    const row = (one: ChainRow) =>
      Effect.map(judge?.judge([one]) ?? Effect.succeed(SignatureJudge.noVerdicts), (verdicts) =>
        checked(one, undefined, verifierWith(verdicts))
      )

    return { judge, chain, row }
  })
})
