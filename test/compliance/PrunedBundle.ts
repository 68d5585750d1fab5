import { Effect, Layer, Stream } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { leafHashOf } from "../../src/schema/Checkpoint.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { EventId, operatorChain } from "../../src/schema/Ids.ts"
import { rootOf } from "../../src/schema/Merkle.ts"
import { machinery } from "../../src/schema/OperatorDraft.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as BundleKeySource from "../../src/services/BundleKeySource.ts"
import * as Bundles from "../../src/services/Bundles.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import * as Logs from "./Logs.ts"
import * as Trees from "./Trees.ts"

const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString("hex"))
export const session = "session:order-4711"

/** A bundle over a log whose session has lost its first three rows, after `kinds` said what they were. */
export const bundleOf = (
  kinds: ReadonlyArray<string>,
  change: (metadata: Record<string, unknown>) => Record<string, unknown>
) => {
  const tree = new Trees.Tree()
  return Effect.gen(function* () {
    yield* Logs.day
    yield* tree.grow
    const store = yield* AuditStore
    const all: ReadonlyArray<ChainRow> = yield* Stream.runCollect(store.rows(session as never))
    const lost = all.slice(0, 3)
    const root = rootOf(
      lost.map((row) => leafHashOf(row, sha256)),
      sha256
    )
    const metadata = change({
      chain: session,
      fromSeq: 1,
      toSeq: 3,
      firstPrev: null,
      lastHash: hex(lost[2]!.hash),
      root: hex(root)
    })
    for (const [i, kind] of kinds.entries()) {
      yield* store.append({
        chain: operatorChain,
        id: EventId.make(`00000000-0000-4000-8000-0000000000a${i}`),
        atMs: 1_900_000_000_000,
        agent: machinery,
        session: null,
        parent: null,
        kind,
        model: null,
        inputHash: null,
        outputHash: null,
        metadataText: canonicalize(metadata as never)
      })
    }
    const pruned = AuditStore.of({
      ...store,
      rows: (chain, range) => Stream.filter(store.rows(chain, range), (row) => row.chain !== session || row.seq > 3)
    })
    const pieces: Array<Uint8Array> = []
    yield* Effect.gen(function* () {
      const bundles = yield* Bundles.Bundles
      yield* bundles.write({ by: "alice" }, (piece) => Effect.sync(() => void pieces.push(piece)))
    }).pipe(
      Effect.provide(
        Bundles.layer.pipe(
          Layer.provide(Compliance.layer),
          Layer.provide([tree.layer(), BundleKeySource.layerNone, Layer.succeed(AuditStore, pruned)])
        ),
        { local: true }
      )
    )
    return Buffer.concat(pieces)
  }).pipe(Effect.provide(Logs.log))
}
