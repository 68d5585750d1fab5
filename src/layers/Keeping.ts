import { Layer } from "effect"
import * as CheckpointBeforePruning from "../services/CheckpointBeforePruning.ts"
import * as Erasure from "../services/Erasure.ts"
import * as LegalHolds from "../services/LegalHolds.ts"
import * as Retention from "../services/Retention.ts"

/** What is kept and for how long: erasure, legal holds and retention, beside everything else and over the same stores. */
export const layer = Layer.mergeAll(
  Erasure.layer,
  LegalHolds.layer,
  Layer.provide(Retention.layer, CheckpointBeforePruning.layer)
)
