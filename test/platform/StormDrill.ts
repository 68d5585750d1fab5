import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { IngestStore } from "../../src/services/IngestStore.ts"
import { tenant } from "./Serving.ts"
import { newSeen, sendAll, senders } from "./Storm.ts"

/** Everybody comes back at once with a backlog: who gets through, in what order, and how fast compared with few. */
export const storm = Effect.fnUntraced(function* (clients: number, eventsEach: number, second = 10) {
  const measured = Effect.fnUntraced(function* (count: number, each: number) {
    const place = yield* tenant()
    const all = senders(count, each, () => place.token)
    const seen = newSeen()
    const began = performance.now()
    yield* Effect.forEach(all, (one) => sendAll(one, seen, 5, second), { concurrency: "unbounded", discard: true })
    return { all, place, seen, perSecond: (count * each) / (performance.now() - began) }
  })
  const few = yield* measured(8, Math.ceil((clients * eventsEach) / 32))
  const crowd = yield* measured(clients, eventsEach)

  const store = yield* IngestStore
  const { token: _, tokenId: __, ...place } = crowd.place
  const kept = new Map<string, Array<string>>()
  let after = 0
  for (;;) {
    const page = yield* store.timeline(place, {
      before: null,
      after,
      agent: null,
      session: null,
      eventType: null,
      limit: 5_000
    })
    for (const { event, instance } of page.toReversed()) kept.set(instance, [...(kept.get(instance) ?? []), event])
    if (page[0] === undefined) break
    after = page[0].position
  }
  assert.strictEqual(after, clients * eventsEach)
  for (const { events, instance } of crowd.all) assert.deepStrictEqual(kept.get(instance), events, instance)
  return { ...crowd.seen, ratio: crowd.perSecond / few.perSecond }
})
