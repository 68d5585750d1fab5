import { Context, Effect, Layer, Semaphore } from "effect"
import type { AuditDraft } from "../schema/Envelope.ts"
import type { SpoolProblem } from "../schema/SpoolText.ts"

/** Where events wait while the database does not answer (AUD-16, JSL-01). What it cannot keep, it says so at once. */
export class AuditFallback extends Context.Service<
  AuditFallback,
  {
    /** False when there is no room, or no disk: then the event is lost, and its record is a placeholder (AUD-08). */
    readonly spool: (draft: AuditDraft) => Effect.Effect<boolean>
    /**
     * Hands over what waits, oldest first, and forgets an event only after it was taken: killed in the middle, it hands over
     * again what the log then knows by its id. What was tampered with goes to `broken` and nowhere else.
     */
    readonly replay: <E, R>(sink: ReplaySink<E, R>) => Effect.Effect<ReplayCount, E, R>
    readonly stats: Effect.Effect<FallbackStats>
  }
>()("effect-governance/services/AuditFallback") {}

export interface ReplaySink<E, R> {
  readonly append: (draft: AuditDraft) => Effect.Effect<void, E, R>
  readonly broken: (found: FallbackBreak) => Effect.Effect<void, E, R>
}

export interface ReplayCount {
  readonly replayed: number
  readonly broken: number
}

/** A spool file that is not what was written. */
export interface FallbackBreak {
  readonly file: string
  readonly problem: SpoolProblem
  /** The last line that is genuine. */
  readonly afterLine: number
}

export interface FallbackStats {
  readonly waiting: number
  /** Events that nobody could keep since the start. */
  readonly dropped: number
}

export interface MemoryFallbackOptions {
  /** Default 100 000. */
  readonly maxEvents?: number | undefined
  /** Bytes of canonical metadata and identifiers together, default 64 MiB. */
  readonly maxBytes?: number | undefined
}

/** A bounded queue in memory. It dies with the process: for tests, for memory stores, and where there is no disk. */
export const makeMemory = (options: MemoryFallbackOptions = {}): AuditFallback["Service"] => {
  const maxEvents = options.maxEvents ?? 100_000
  const maxBytes = options.maxBytes ?? 64 * 1024 * 1024
  const one = Semaphore.makeUnsafe(1)
  let waiting: Array<AuditDraft> = []
  let bytes = 0
  let dropped = 0

  return AuditFallback.of({
    spool: (draft) =>
      Effect.sync(() => {
        const size = sizeOf(draft)
        if (waiting.length >= maxEvents || bytes + size > maxBytes) {
          dropped++
          return false
        }
        waiting.push(draft)
        bytes += size
        return true
      }),
    replay: (sink) =>
      one.withPermit(
        Effect.gen(function* () {
          let replayed = 0
          let next = 0
          const forget = Effect.sync(() => {
            waiting = waiting.slice(next)
          })
          yield* Effect.ensuring(
            Effect.whileLoop({
              while: () => next < waiting.length,
              body: () => sink.append(waiting[next]!),
              step: () => {
                bytes -= sizeOf(waiting[next]!)
                next++
                replayed++
              }
            }),
            forget
          )
          return { replayed, broken: 0 }
        })
      ),
    stats: Effect.sync(() => ({ waiting: waiting.length, dropped }))
  })
}

export const layerMemory = Layer.sync(AuditFallback, () => makeMemory())

export const layerMemoryWith = (options: MemoryFallbackOptions) => Layer.sync(AuditFallback, () => makeMemory(options))

/** UTF-16 units and what the object itself takes, roughly. */
const sizeOf = (draft: AuditDraft) => 2 * (draft.metadataText.length + draft.chain.length + draft.kind.length) + 500
