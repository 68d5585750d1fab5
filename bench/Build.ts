import { Effect, Layer } from "effect"

/** Builds a layer that shares nothing with what was built before: two databases side by side have stores of their own. */
export const build = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
  Effect.flatMap(Effect.scope, (scope) => Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), scope))
