import { Effect, Redacted } from "effect"
import * as Embedded from "../../src/layers/Embedded.ts"

// Opens the directory it is given (none: a throw-away server), says so on one line, and stays until its standard input ends.
const program = Effect.gen(function* () {
  const pg = yield* Embedded.EmbeddedPostgres
  const line = {
    appUrl: Redacted.value(pg.appUrl),
    ownerUrl: Redacted.value(pg.ownerUrl),
    dataDir: pg.dataDir,
    startedHere: pg.startedHere
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
  yield* Effect.callback<void>((resume) => {
    process.stdin.on("end", () => resume(Effect.void)).resume()
  })
})

const dataDir = process.argv[2]
const layer =
  dataDir === undefined ? Embedded.layerThrowAway : Embedded.layer({ dataDir, durable: process.argv[3] === "durable" })
await Effect.runPromise(program.pipe(Effect.provide(layer)))
