import { Effect } from "effect"
import { eventOf } from "./Events.ts"
import { send } from "./Serving.ts"

export interface Sender {
  readonly instance: string
  readonly token: string
  /** Event ids, in the order in which they happened. */
  readonly events: ReadonlyArray<string>
}

export const senders = (count: number, eventsEach: number, token: (index: number) => string): ReadonlyArray<Sender> =>
  Array.from({ length: count }, (_, index) => ({
    instance: `process-${index}`,
    token: token(index),
    events: Array.from({ length: eventsEach }, () => globalThis.crypto.randomUUID())
  }))

export interface Seen {
  readonly statuses: Map<number, number>
  readonly retryAfter: Array<number>
  /** Ids that the platform has said are stored. */
  readonly acknowledged: Set<string>
}

export const newSeen = (): Seen => ({ statuses: new Map(), retryAfter: [], acknowledged: new Set() })

/**
 * A client that sends its backlog in order, `batch` at a time, and the same again until it is acknowledged. `second` is how many
 * milliseconds it takes one of the server's seconds for: a test of who gets through need not wait as long as a bridge does.
 */
export const sendAll = Effect.fnUntraced(function* (
  { events, instance, token }: Sender,
  seen: Seen,
  batch = 5,
  second = 10
) {
  for (let at = 0; at < events.length; ) {
    const part = events.slice(at, at + batch)
    const answer = yield* send("POST", "/api/v1/ingest/events/batch", {
      token,
      headers: { "governance-instance": instance },
      body: { events: part.map((id, index) => eventOf(at + index + 1, id)) }
    }).pipe(Effect.orElseSucceed(() => ({ status: 0, body: null, headers: {} as Record<string, string> })))
    seen.statuses.set(answer.status, (seen.statuses.get(answer.status) ?? 0) + 1)
    if (answer.status === 200) {
      for (const id of part) seen.acknowledged.add(id)
      at += part.length
      continue
    }
    if (answer.status === 503 || answer.status === 429) {
      const seconds = Number(answer.headers["retry-after"])
      seen.retryAfter.push(seconds)
      yield* Effect.sleep(Math.max(1, seconds) * second)
    } else if (answer.status === 0 || answer.status === 408) {
      // The connection went, or the server's own patience did.
      yield* Effect.sleep(50)
    } else {
      return yield* Effect.die(new Error(`${instance} was answered ${answer.status} ${JSON.stringify(answer.body)}`))
    }
  }
})
