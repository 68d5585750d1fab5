import { Layer } from "effect"
import * as BundleKeySource from "../services/BundleKeySource.ts"
import * as Bundles from "../services/Bundles.ts"
import * as CheckpointProofs from "../services/CheckpointProofs.ts"
import * as Compliance from "../services/Compliance.ts"

/** Reports and evidence bundles over the same stores; bundles are signed with the key of the checkpoints. */
export const layer = Bundles.layer.pipe(
  Layer.provideMerge(Compliance.layer),
  Layer.provideMerge(Layer.merge(CheckpointProofs.layer, BundleKeySource.layer))
)
