import { Effect, Layer, Result } from "effect"
import * as BundleKeySource from "../../src/services/BundleKeySource.ts"
import * as Bundles from "../../src/services/Bundles.ts"
import type * as CheckpointProofs from "../../src/services/CheckpointProofs.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import { readZip } from "../../src/services/ZipReader.ts"
import * as Logs from "./Logs.ts"
import * as Trees from "./Trees.ts"

/** Bundles over the log of `Logs`, with these checkpoints. */
export const over = (proofs: Layer.Layer<CheckpointProofs.CheckpointProofs>) =>
  Bundles.layer.pipe(
    Layer.provideMerge(Compliance.layer),
    Layer.provide(Layer.merge(proofs, BundleKeySource.layerNone)),
    Layer.provideMerge(Logs.log)
  )

export const written = (request: Partial<Bundles.BundleRequest> = {}) =>
  Effect.gen(function* () {
    const bundles = yield* Bundles.Bundles
    const pieces: Array<Uint8Array> = []
    yield* bundles.write({ by: "alice", ...request }, (piece) => Effect.sync(() => void pieces.push(piece)))
    return new Uint8Array(Buffer.concat(pieces))
  })

/** A bundle of a day, whose last two rows came after the checkpoint. */
export const makeBundle = (form: Bundles.BundleRequest["form"]) =>
  Effect.gen(function* () {
    const tree = new Trees.Tree()
    return yield* Effect.provide(
      Effect.gen(function* () {
        yield* Logs.day
        yield* tree.grow
        const earlier = tree.note()
        yield* Logs.call(19)
        yield* tree.grow
        yield* Logs.call(20)
        const archive = yield* written({ form })
        return { archive, earlier }
      }),
      over(tree.layer())
    )
  })

export const made = Effect.map(makeBundle("zip"), ({ archive, earlier }) => ({
  archive,
  earlier,
  files: Result.getOrThrow(readZip(archive))
}))
