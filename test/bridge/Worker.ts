/** A program with governance and the bridge, as a host has it: writes events as fast as told, until it is killed. */
import { Effect, Layer, Redacted, Schedule } from "effect"
import * as Bridge from "../../src/bridge/Bridge.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { Audit } from "../../src/services/Audit.ts"

const [name = "", port = "", writes = "", token = "", mode = "outbox"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const audit = yield* Audit
  const bridge = yield* Bridge.Bridge
  process.send?.({ ready: true })
  let n = 0
  const write = Effect.suspend(() => {
    const i = ++n
    return Effect.map(
      audit.log({ kind: "tool.call", agentId: `${name}-${i % 3}`, metadata: { name: `${name}/${i}` } }),
      ({ id, status }) => process.send?.({ logged: id, status })
    )
  })
  if (writes !== "no") yield* Effect.forkScoped(Effect.repeat(write, Schedule.spaced("3 millis")))
  yield* Effect.repeat(
    Effect.map(bridge.stats, (stats) => process.send?.({ stats })),
    Schedule.spaced("200 millis")
  )
})

process.on("disconnect", () => process.exit(0))
Effect.runPromise(
  program.pipe(
    Effect.scoped,
    Effect.provide(
      Bridge.layer.pipe(
        Layer.provideMerge(
          Postgres.layer({
            databaseUrl: Redacted.make(process.env.GOVERNANCE_DATABASE_URL ?? ""),
            warnOnNoWrappers: false,
            platform: {
              bridgeEnabled: true,
              ingestUrl: `http://127.0.0.1:${port}/api/v1/ingest/events`,
              ingestToken: token,
              trustedHosts: [`127.0.0.1:${port}`],
              outbox: mode === "outbox"
            }
          })
        )
      )
    )
  )
).catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
