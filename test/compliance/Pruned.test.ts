import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result, Stream } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { leafHashOf } from "../../src/schema/Checkpoint.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { EventId, operatorChain } from "../../src/schema/Ids.ts"
import { rootOf } from "../../src/schema/Merkle.ts"
import { machinery } from "../../src/schema/OperatorDraft.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as BundleKeySource from "../../src/services/BundleKeySource.ts"
import * as Bundles from "../../src/services/Bundles.ts"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import * as Logs from "./Logs.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString("hex"))
const session = "session:order-4711"

/** A bundle over a log whose session has lost its first three rows, after `kinds` said what they were. */
const bundleOf = (
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

const both = ["audit.segment_sealed", "audit.segment_pruned"]
const same = (metadata: Record<string, unknown>) => metadata

describe("a chain that was pruned", () => {
  it.effect("verifies from its seal in both verifiers, which say what is gone (BEY-12, A-29)", () =>
    Effect.gen(function* () {
      const archive = yield* bundleOf(both, same)
      assert.deepStrictEqual(verdicts(archive), ["ok", "ok"])
      const { notCovered } = Result.getOrThrow(verifyBundle(archive, Trees.key))
      assert.isTrue(notCovered.some((text) => text.startsWith(`${session}: rows 1 to 3 were pruned`)))
    })
  )

  it.effect("is missing its rows without a seal, with one that nobody carried out, or with one of other rows", () =>
    Effect.gen(function* () {
      const wrong = [
        bundleOf([], same),
        bundleOf([both[0]!], same),
        bundleOf([both[1]!], same),
        bundleOf(both, (metadata) => ({ ...metadata, lastHash: "00".repeat(32) })),
        bundleOf(both, (metadata) => ({ ...metadata, toSeq: 2 })),
        bundleOf(both, (metadata) => ({ ...metadata, fromSeq: 2 })),
        bundleOf(both, (metadata) => ({ ...metadata, chain: "session:mail-1" }))
      ]
      for (const one of wrong) assert.deepStrictEqual(verdicts(yield* one), ["tampered", "tampered"])
    })
  )
})
