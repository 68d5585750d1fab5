import { Duration, Effect, Schedule } from "effect"
import type { Routes } from "../schema/BridgeWire.ts"
import { type Copied, eventText } from "./Copy.ts"
import type { Counters } from "./Counters.ts"
import type { Answer, Transport } from "./Transport.ts"

/**
 * Sends events in order, one request at a time, and keeps the sequence: a `seq` is used up when the platform has the event, and
 * where it expects another one that one is taken, once (BRG-10). Answers for each event.
 */
export type Sender = (events: ReadonlyArray<Copied>) => Effect.Effect<ReadonlyArray<Answer>>

export const make = (transport: Transport, routes: Routes, counters: Counters): Sender => {
  let batches = true

  /** A second, two, four ... a minute, each a little off, five attempts in all; longer where the platform asks for it (OQ-16). */
  const patience = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]).pipe(
    Schedule.setInputType<Answer>(),
    Schedule.jittered,
    Schedule.upTo({ times: 4 }),
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.sync(() => {
        counters.retries429++
        const asked = input._tag === "TooMany" ? input.retryAfter : null
        return asked === null ? duration : Duration.max(duration, asked)
      })
    )
  )

  const request = (events: ReadonlyArray<Copied>, seq: number): Effect.Effect<Answer> => {
    const texts = events.map((event, i) => eventText(event, seq + i))
    const asked =
      texts.length === 1
        ? transport.post(routes.events, texts.join())
        : transport.post(routes.batch, `{"events":[${texts.join()}]}`)
    return Effect.flatMap(asked, (answer) =>
      answer._tag === "TooMany" ? Effect.fail<Answer>(answer) : Effect.succeed(answer)
    ).pipe(Effect.retry(patience), Effect.catch(Effect.succeed))
  }

  const together = Effect.fnUntraced(function* (events: ReadonlyArray<Copied>) {
    let seq = counters.nextSeq
    let answer = yield* request(events, seq)
    if (answer._tag === "OutOfOrder") {
      counters.seqHealed++
      seq = answer.expectedSeq
      counters.nextSeq = seq
      answer = yield* request(events, seq)
      if (answer._tag === "OutOfOrder") counters.nextSeq = answer.expectedSeq
    }
    if (answer._tag === "Taken") counters.nextSeq = Math.max(counters.nextSeq, seq + events.length)
    return answer
  })

  return Effect.fnUntraced(function* (events) {
    if (events.length === 1 || batches) {
      const answer = yield* together(events)
      if (events.length === 1 || answer._tag !== "Rejected") return events.map(() => answer)
      // A platform without this route; else one event spoils the others, and is found by sending each alone.
      if (answer.status === 404 || answer.status === 405) batches = false
    }
    const answers: Array<Answer> = []
    for (const event of events) {
      const last = answers.at(-1)
      const over = last?._tag === "Disabled" || last?._tag === "Failed"
      answers.push(over ? last : yield* together([event]))
    }
    return answers
  })
}
