import { Clock, Duration, Effect, Random } from "effect"
import type { ChainRow } from "../schema/Envelope.ts"
import type { Outgoing } from "./Batches.ts"
import type { Latch } from "./Latch.ts"
import type * as Sender from "./Sender.ts"
import type { Answer } from "./Transport.ts"

/**
 * Sends the rows of a batch until the platform has taken or refused each; those that `before` no longer lets go come back. Pauses
 * longer from failure to failure, up to a minute, and never ends with the latch set (B-21).
 */
export const make = (latch: Latch, reader: string) => {
  let failures = 0
  let warnedMs = Number.NEGATIVE_INFINITY

  const pause = Effect.suspend(() =>
    Effect.flatMap(Random.next, (jitter) =>
      Effect.sleep(Duration.millis(Math.min(60_000, 1000 * 2 ** Math.min(failures, 10)) * (0.8 + 0.4 * jitter)))
    )
  )

  /** Now and then, when it has not worked for a while: an outbox that waits loses nothing, and should not do it unseen. */
  const complain = Effect.fnUntraced(function* (answers: ReadonlyArray<Answer>) {
    const nowMs = yield* Clock.currentTimeMillis
    const last = answers.at(-1)
    if (failures < failuresBeforeWarning || nowMs - warnedMs < warnEveryMs || last?._tag === "Disabled") return
    warnedMs = nowMs
    const said = last?._tag === "Rejected" ? `${last.status}` : last?._tag
    yield* Effect.logWarning("platform.outbox_waits", { reader, said, attempts: failures })
  })

  return Effect.fnUntraced(function* (
    sender: Sender.Sender,
    before: (left: ReadonlyArray<Outgoing<ChainRow>>) => Effect.Effect<boolean>,
    batch: ReadonlyArray<Outgoing<ChainRow>>,
    ended: (row: ChainRow, answer: Answer) => Effect.Effect<void>
  ) {
    let left = batch
    while (left.length > 0) {
      if (yield* latch.isSet) return yield* Effect.never
      if (!(yield* before(left))) return left
      const answers = yield* sender(left.map(({ copy }) => copy))
      const open: Array<Outgoing<ChainRow>> = []
      for (const [i, one] of left.entries()) {
        const answer = answers[i]!
        if (isOver(answer)) yield* ended(one.item, answer)
        else open.push(one)
      }
      failures = open.length < left.length ? 0 : failures + 1
      left = open
      if (left.length > 0) yield* Effect.andThen(complain(answers), pause)
    }
    return left
  })
}

const failuresBeforeWarning = 5
const warnEveryMs = 10 * 60_000

/** Refused for what it is; every other refusal may pass. */
const poisonous: ReadonlySet<number> = new Set([400, 409, 413, 422])
const isOver = (answer: Answer): boolean =>
  answer._tag === "Taken" || (answer._tag === "Rejected" && poisonous.has(answer.status))
