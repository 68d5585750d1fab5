import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { type GovernedFetchOptions, governedFetch } from "./GovernedFetch.ts"
import * as Host from "./Host.ts"

/**
 * An `HttpClient` that governs every request to a provider, for what goes past the services of `effect/ai`. Below a governed
 * `LanguageModel` it joins its calls, so that nothing is counted twice, and meters the provider's own bytes.
 */
export const layer = (options: Omit<GovernedFetchOptions, "governance">) =>
  // Fresh: a program builds `FetchHttpClient.layer` once, and whoever builds it first chooses its fetch for all.
  Layer.fresh(FetchHttpClient.layer).pipe(
    Layer.provide(
      Layer.effect(
        FetchHttpClient.Fetch,
        Effect.map(Host.make, (governance) => governedFetch({ ...options, governance }))
      )
    )
  )
