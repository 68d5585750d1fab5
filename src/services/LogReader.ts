import { Clock, Data, Effect, FiberMap, Option, Schedule, Semaphore, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import type { ChainRow } from "../schema/Envelope.ts"
import type { ChainId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AuditStore, type ChainPosition } from "./AuditStore.ts"
import { type ReaderName, ReaderStore } from "./ReaderStore.ts"

export interface LogReaderOptions {
  readonly reader: ReaderName
  readonly kinds: ReadonlySet<string> | "all"
  /** Which rows of these kinds are shown; all when left out. Asked for every one of them, so it answers from memory. */
  readonly concerns?: (row: ChainRow) => boolean
  /** `latest`: of what one look finds in a chain only the last row of each agent, in no order. For who asks what is, not what was. */
  readonly show?: "each" | "latest"
  /** Done with the row when it returns. MUST be safe to run again for the same row, and gives up on a row by itself. */
  readonly handle: (row: ChainRow) => Effect.Effect<void>
  /**
   * In place of `handle`, for whoever takes every row: the next rows of a chain at once, up to 100, and the seq that they come
   * after. At most 16 chains are shown at a time, and the others wait for them.
   */
  readonly handlePage?: (rows: ReadonlyArray<ChainRow>, after: number) => Effect.Effect<void>
  /** Beside `handlePage`: rows of a chain, the last one among them, that were pruned before they could be shown. */
  readonly handleLost?: (chain: ChainId, fromSeq: number, toSeq: number) => Effect.Effect<void>
  /** How long the reader's work may lie still after its process has died, default 15 s. */
  readonly leaseMs?: number
}

/**
 * Shows every new row of some kinds to one process of all, at least once, in order within a chain; a row that takes its time
 * holds up its own chain alone. Exact by chain as `tail` is, with cursors that survive: what was written while no process
 * lived is shown to the next. A new reader begins with the present. Runs until interrupted, through any trouble of the store.
 */
export const drain = Effect.fnUntraced(function* (options: LogReaderOptions) {
  const log = yield* AuditStore
  const store = yield* ReaderStore
  const holder = yield* (yield* SecureRandom.SecureRandom).uuidV7()
  const { leaseMs = defaultLeaseMs, reader } = options
  let said = { problem: "", atMs: 0 }

  const term = Effect.gen(function* () {
    const standing = yield* store.lead(reader, holder, leaseMs)
    if (standing._tag === "Following") return
    const { begun, epoch } = standing
    const renew = Effect.sleep(leaseMs / 3).pipe(
      Effect.andThen(store.lead(reader, holder, leaseMs)),
      Effect.repeat({ while: (now) => now._tag === "Leading" && now.epoch === epoch })
    )
    const read = Effect.scoped(reading(log, store, options, epoch, begun))
    yield* Effect.ensuring(Effect.raceFirst(read, renew), Effect.ignore(store.resign(reader, epoch)))
  })

  const warn = Effect.fnUntraced(function* ({ message, problem, recoveryHint }: StoreError) {
    const atMs = yield* Clock.currentTimeMillis
    if (problem === said.problem && atMs - said.atMs < warnEveryMs) return
    said = { problem, atMs }
    yield* Effect.logWarning("reader.waits", { reader, message, recoveryHint })
  })

  return yield* term.pipe(
    Effect.catchTag("Superseded", () => Effect.void),
    Effect.catchTag("StoreError", warn),
    Effect.repeat(Schedule.spaced(electEvery)),
    Effect.andThen(Effect.never)
  )
})

/** Another holder has taken over: what is left is its to do. */
class Superseded extends Data.TaggedError("Superseded")<{ readonly reader: ReaderName }> {}

const reading = Effect.fnUntraced(function* (
  log: AuditStore["Service"],
  store: ReaderStore["Service"],
  { concerns = () => true, handle, handleLost, handlePage, kinds, reader, show = "each" }: LogReaderOptions,
  epoch: number,
  begun: boolean
) {
  const cursors = new Map<ChainId, number>()
  const slow = yield* FiberMap.make<ChainId, void, StoreError | Superseded>()
  // After a long pause thousands of chains may have something to show: they must not take every connection at once.
  const questions = Semaphore.makeUnsafe(4)

  const isShown = (row: ChainRow) => (kinds === "all" || kinds.has(row.kind)) && concerns(row)

  const advance = Effect.fnUntraced(function* (positions: ReadonlyArray<ChainPosition>, begins?: boolean) {
    const moved = yield* questions.withPermit(store.advance(reader, epoch, positions, begins))
    if (!moved) return yield* new Superseded({ reader })
    for (const { chain, seq } of positions) cursors.set(chain, seq)
  })

  const page = (chain: ChainId) => {
    // Rows may have been pruned right behind the cursor, so the page ends by its length and not by a seq.
    const rows = log.rows(chain, { fromSeq: (cursors.get(chain) ?? 0) + 1 })
    const length = handlePage === undefined ? pageSize : handedPage
    return questions.withPermit(Stream.runCollect(Stream.take(rows, length)))
  }

  /** True when there is more than may be handed over in one turn: other chains come first. */
  const handOver = Effect.fnUntraced(function* (
    chain: ChainId,
    first: ReadonlyArray<ChainRow>,
    hand: NonNullable<LogReaderOptions["handlePage"]>
  ) {
    let rows = first
    for (let turn = 0; rows.length > 0; turn++) {
      yield* hand(rows, cursors.get(chain) ?? 0)
      yield* advance(rows.slice(-1))
      if (rows.length < handedPage) return false
      if (turn === handedTurns) return true
      rows = yield* page(chain)
    }
    return false
  })

  const showAll = Effect.fnUntraced(function* (chain: ChainId, first: ReadonlyArray<ChainRow>) {
    for (let rows = first; rows.length > 0; rows = yield* page(chain)) {
      const shown = rows.filter(isShown)
      if (show === "latest") {
        const latest = new Map(shown.map((row) => [row.agent, row])).values()
        yield* Effect.forEach(latest, handle, { concurrency: 8, discard: true })
      } else {
        for (const row of shown) {
          yield* handle(row)
          yield* advance([row])
        }
      }
      yield* advance(rows.slice(-1))
    }
  })

  /** Chains that have nothing for us are done with at once, together; each of the others goes on by itself. */
  const look = Effect.fnUntraced(function* (moved: ReadonlyArray<ChainPosition>) {
    const quiet: Array<ChainPosition> = []
    let more = false
    const lookInto = Effect.fnUntraced(function* ({ chain, seq }: ChainPosition) {
      const rows = yield* page(chain)
      const last = rows.at(-1)
      if (last === undefined) {
        // The head was read first: what it names is there, or has been pruned since.
        yield* handleLost?.(chain, (cursors.get(chain) ?? 0) + 1, seq) ?? Effect.void
        quiet.push({ chain, seq })
      } else if (handlePage !== undefined) more = (yield* handOver(chain, rows, handlePage)) || more
      else if (rows.some(isShown)) yield* FiberMap.run(slow, chain, showAll(chain, rows))
      else {
        quiet.push({ chain, seq: last.seq })
        more ||= rows.length === pageSize
      }
    })
    const concurrency = handlePage === undefined ? 4 : handedChains
    yield* Effect.forEach(moved, lookInto, { concurrency, discard: true })
    if (quiet.length > 0) yield* advance(quiet)
    return more
  })

  const rounds = Effect.gen(function* () {
    if (begun)
      yield* pages(
        (after) => store.cursors(reader, after, pageSize),
        (found) => Effect.sync(() => remember(found))
      )
    else {
      yield* pages(
        (after) => log.heads(after, pageSize),
        (heads) => advance(heads)
      )
      yield* advance([], true)
    }
    let comparedMs = Number.NEGATIVE_INFINITY
    let lookedMs = 0
    for (;;) {
      const nowMs = yield* Clock.currentTimeMillis
      const compare = nowMs - comparedMs >= compareEveryMs
      let more = false
      const lookAt = Effect.fnUntraced(function* (found: ReadonlyArray<ChainPosition>) {
        const moved = found.filter(
          ({ chain, seq }) => seq > (cursors.get(chain) ?? 0) && !FiberMap.hasUnsafe(slow, chain)
        )
        if (yield* look(moved)) more = true
      })
      if (compare) yield* pages((after) => log.heads(after, pageSize), lookAt)
      else yield* lookAt(yield* log.movedSince(lookedMs))
      if (!more) {
        lookedMs = nowMs
        if (compare) comparedMs = nowMs
      }
      yield* Effect.sleep(more ? 0 : pollEvery)
    }
  })
  const remember = (found: ReadonlyArray<ChainPosition>) => {
    for (const { chain, seq } of found) cursors.set(chain, seq)
  }

  return yield* Effect.raceFirst(rounds, Effect.andThen(FiberMap.join(slow), Effect.never))
})

const pages = Effect.fnUntraced(function* <A extends ChainPosition, E, R>(
  next: (after: ChainId | null) => Effect.Effect<ReadonlyArray<A>, StoreError>,
  use: (found: ReadonlyArray<A>) => Effect.Effect<void, E, R>
) {
  let after = Option.none<ChainId>()
  do {
    const found: ReadonlyArray<A> = yield* next(Option.getOrNull(after))
    yield* use(found)
    after = found.length < pageSize ? Option.none() : Option.fromUndefinedOr(found.at(-1)?.chain)
  } while (Option.isSome(after))
})

const defaultLeaseMs = 15_000
const electEvery = "2 seconds"
const pollEvery = "1 second"
const compareEveryMs = 10 * 60_000
const warnEveryMs = 10 * 60_000
/** Chains of one question, and rows of one chain in one look. */
const pageSize = 1_000
/** Together no more rows in memory than the pages of two slow chains. */
const handedPage = 100
const handedChains = 16
const handedTurns = 50
