import { Context, Effect, Layer } from "effect"
import type { BundleAgentKey } from "../schema/Bundle.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** The public keys of agents, as a bundle gives them to a stranger. */
export class BundleKeySource extends Context.Service<
  BundleKeySource,
  { readonly agentKeys: Effect.Effect<ReadonlyArray<BundleAgentKey>, StoreError> }
>()("effect-governance/services/BundleKeySource") {}

/** No registry of keys: rows that are signed cannot be judged by their signature, and a verifier says so. */
export const layerNone = Layer.succeed(BundleKeySource, BundleKeySource.of({ agentKeys: Effect.succeed([]) }))
