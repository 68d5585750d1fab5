/** Posts from a process of its own, in the environment that the test gave it, and prints what came of it. */
import { readFileSync } from "node:fs"
import { Effect, Layer } from "effect"
import * as EgressDialler from "../../src/layers/EgressDialler.ts"
import * as EgressResolver from "../../src/layers/EgressResolver.ts"
import * as Egress from "../../src/services/Egress.ts"
import { rulesOf } from "./Fakes.ts"

const { ca, control, urls }: { ca: string | null; control: boolean; urls: ReadonlyArray<string> } = JSON.parse(
  process.argv[2]!
)

const failing = () => {
  throw new Error("somebody else's transport was used")
}
if (!control) {
  // What other libraries do to a process: nothing of it may touch us (B-11).
  globalThis.fetch = failing
  Reflect.set(globalThis, Symbol.for("undici.globalDispatcher.1"), {
    dispatch: failing,
    close: failing,
    destroy: failing
  })
}

const posted = Effect.fnUntraced(function* (url: string) {
  if (control) {
    return yield* Effect.promise(() =>
      fetch(url, { method: "POST", body: "control" }).then(({ status }) => `${status}`, String)
    )
  }
  const egress = yield* Egress.make(rulesOf({ trusted: [new URL(url).host] }))
  return yield* Effect.match(egress.post(url, { body: "{}" }), {
    onFailure: (error) => ("problem" in error ? `${error._tag} ${error.problem}` : error._tag),
    onSuccess: ({ status }) => `${status}`
  })
})

const network = Layer.merge(
  EgressDialler.layerWith(ca === null ? [] : [readFileSync(ca, "utf8")]),
  EgressResolver.layer
)
const outcome = Effect.forEach(urls, posted).pipe(
  Effect.provide(network),
  Effect.catchTag("ConfigurationError", (error) => Effect.succeed([error.setting]))
)
process.stdout.write(JSON.stringify(await Effect.runPromise(outcome)))
