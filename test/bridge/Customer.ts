import { Effect, Layer } from "effect"
import * as Bridge from "../../src/bridge/Bridge.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { memory } from "../services/World.ts"

/** A customer's process: all of governance in memory, and the bridge over real sockets to a server of this machine. */
export const customer = (port: number, token: string, more: GovernanceOptions["platform"] = {}) =>
  Bridge.layer.pipe(
    Layer.provideMerge(
      memory({
        platform: {
          bridgeEnabled: true,
          ingestUrl: `http://127.0.0.1:${port}/api/v1/ingest/events`,
          ingestToken: token,
          trustedHosts: [`127.0.0.1:${port}`],
          ...more
        }
      })
    )
  )

/** What a question answers once it answers something, asked twenty times a second. */
export const until = <A, E, R>(what: string, is: Effect.Effect<A | null | false, E, R>, tries = 400) =>
  Effect.gen(function* () {
    for (let i = 0; i < tries; i++) {
      const found = yield* is
      if (found !== null && found !== false) return found
      yield* Effect.sleep(50)
    }
    return yield* Effect.die(new Error(`never happened: ${what}`))
  })
