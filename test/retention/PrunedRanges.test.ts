import { randomUUID } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as MemoryAuditStore from "../../src/layers/memory/AuditStore.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { EventId, operatorChain, SessionId, sessionChain } from "../../src/schema/Ids.ts"
import { operatorDraft } from "../../src/schema/OperatorDraft.ts"
import { prunedKind, type Segment, sealedKind, segmentOf } from "../../src/schema/Retention.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import * as PrunedRanges from "../../src/services/PrunedRanges.ts"
import { draftIn } from "../../src/testing/AuditChains.ts"

const world = MemoryAuditStore.layer.pipe(Layer.provideMerge(ChainKeys.layerTest))
const chain = sessionChain(SessionId.make("s"))

/** Where the pruned range ends once the log has a seal of rows 1 to 3, and a pruning of what `change` makes of it. */
const endAfter = (change: (segment: Segment) => Segment) =>
  Effect.gen(function* () {
    const store = yield* AuditStore
    const { hash, macFor } = yield* ChainKeys.ChainKeys
    for (let n = 0; n < 4; n++) yield* store.append(draftIn(SessionId.make("s")))
    const [first, ...rest] = yield* Stream.runCollect(store.rows(chain, { toSeq: 3 }))
    const segment = segmentOf([first as ChainRow, ...rest], sha256)
    const seal = EventId.make(randomUUID())
    yield* store.append(operatorDraft(seal, 1_000, sealedKind, { ...segment }))
    yield* store.append(operatorDraft(EventId.make(randomUUID()), 1_000, prunedKind, { ...change(segment), seal }))
    assert.strictEqual((yield* store.head(operatorChain)).seq, 2)
    return (yield* PrunedRanges.make(store, { hash, macFor }).end(chain))?.seq
  }).pipe(Effect.provide(world))

describe("a pruning", () => {
  it.effect("counts for the very segment of its seal, and for no other (A-29)", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* endAfter((same) => same), 3)
      const others: ReadonlyArray<(segment: Segment) => Segment> = [
        (segment) => ({ ...segment, toSeq: 2 }),
        (segment) => ({ ...segment, fromSeq: 2 }),
        (segment) => ({ ...segment, chain: sessionChain(SessionId.make("t")) }),
        (segment) => ({ ...segment, lastHash: "00".repeat(32) }),
        (segment) => ({ ...segment, root: "00".repeat(32) }),
        (segment) => ({ ...segment, firstPrev: "00".repeat(32) })
      ]
      for (const change of others) assert.isUndefined(yield* endAfter(change))
    })
  )
})
