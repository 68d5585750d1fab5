import { Context, Effect, Layer } from "effect"
import { Settings } from "./Settings.ts"

/** Which clients of language models are governed in this process. A wrapper registers itself when it is made. */
export class Wrappers extends Context.Service<
  Wrappers,
  {
    /** `openai`, `anthropic`, `ai` and so on; the same name twice is one. */
    readonly register: (name: string) => Effect.Effect<void>
    readonly registered: () => ReadonlySet<string>
  }
>()("effect-governance/services/Wrappers") {}

/** Without a wrapper calls to language models are not covered, and nothing but this warning says so (ENT-11). */
export const make = Effect.gen(function* () {
  const settings = yield* Settings
  const names = new Set<string>()
  if (settings.warnOnNoWrappers) {
    // Wrappers are made from the layers above this one, so they come a little later than the start.
    yield* Effect.forkScoped(
      Effect.delay(
        Effect.suspend(() => (names.size === 0 ? warning : Effect.void)),
        "2 seconds"
      )
    )
  }
  return Wrappers.of({
    register: (name) => Effect.sync(() => void names.add(name)),
    registered: () => names
  })
})

export const layer = Layer.effect(Wrappers, make)

const warning = Effect.logWarning("no_wrappers", {
  effect: "calls to language models are governed only where the program says so itself",
  silence: "warnOnNoWrappers: false"
})
