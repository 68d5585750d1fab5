import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect, Layer } from "effect"
import * as Bridge from "../src/bridge/Bridge.ts"
import * as Memory from "../src/layers/Memory.ts"
import type { AuditRecord } from "../src/schema/AuditRecord.ts"
import { Audit } from "../src/services/Audit.ts"
import { spread } from "./Rounds.ts"
import { number, type Row, type Size } from "./Row.ts"

/** What the bridge costs whoever logs, with a platform that never answers and a queue that is full (B-26, G12). */
export const run = Effect.fnUntraced(function* (size: Size) {
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const silent = createServer(() => {})
      silent.listen(0, "127.0.0.1", () => resume(Effect.succeed(silent)))
    }),
    (silent) =>
      Effect.sync(() => {
        silent.closeAllConnections()
        silent.close()
      })
  )
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo
  const platform = {
    bridgeEnabled: true,
    ingestUrl: `http://127.0.0.1:${port}/api/v1/ingest/events`,
    ingestToken: "wf_0123456789abcdefghij",
    trustedHosts: [`127.0.0.1:${port}`]
  }
  let enqueue: (record: AuditRecord) => Effect.Effect<void, unknown> = () => Effect.void
  /** The callback that the bridge gives to the log, called here as the log calls it. */
  const listening = Layer.effect(
    Audit,
    Effect.map(Audit, (audit) =>
      Audit.of({
        ...audit,
        subscribe: (callback) =>
          Effect.sync(() => {
            enqueue = callback
          })
      })
    )
  )
  return yield* Effect.gen(function* () {
    const record = yield* (yield* Audit).log({
      kind: "tool.call",
      agentId: "clerk",
      metadata: { tool: "refund", usd: 5 }
    })
    const calls = size.quick ? 5_000 : 50_000
    const p99s: Array<number> = []
    const p50s: Array<number> = []
    for (let round = 0; round <= size.rounds; round++) {
      const took = new Float64Array(calls)
      for (let i = 0; i < calls; i++) {
        const from = performance.now()
        Effect.runSync(Effect.ignore(enqueue(record)))
        took[i] = (performance.now() - from) * 1000
      }
      took.sort()
      if (round > 0) {
        p99s.push(took[Math.floor(calls * 0.99)]!)
        p50s.push(took[Math.floor(calls * 0.5)]!)
      }
      yield* Effect.sleep(10)
    }
    return [
      {
        id: "P9",
        what: "Enqueue of an event for the bridge, p99, with a platform that hangs and a full queue of 1000",
        against: "nothing: the time that whoever logs waits for the bridge",
        goal: { atMost: 100 },
        measured: spread(p99s),
        unit: " µs",
        figures: `p50 ${number(spread(p50s).median)} µs`
      }
    ] satisfies ReadonlyArray<Row>
  }).pipe(
    Effect.provide(
      Bridge.layer.pipe(
        Layer.provide(listening),
        Layer.provideMerge(Memory.layer({ platform, warnOnNoWrappers: false }))
      )
    )
  )
}, Effect.scoped)
