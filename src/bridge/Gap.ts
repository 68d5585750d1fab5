import { Effect, Schedule } from "effect"
import { Hex } from "effect/encoding"
import type { ChainRow } from "../schema/Envelope.ts"
import { Audit } from "../services/Audit.ts"
import { ChainKeys } from "../services/ChainKeys.ts"

/** Why rows were passed over. `rejected`: the platform refuses them, whenever they come. */
export type GapReason = "rejected" | "too_old" | "pruned"

/**
 * Writes into the log, sealed and signed as every row, which rows the platform will never get (B-21). Once for each range, and
 * none about a gap's own record, or a platform that refuses everything would fill the log.
 */
export const make = Effect.fnUntraced(function* (reader: string) {
  const audit = yield* Audit
  const { hash } = yield* ChainKeys

  return (near: ChainRow, fromSeq: number, toSeq: number, why: GapReason): Effect.Effect<void> =>
    near.kind === "bridge.gap"
      ? Effect.void
      : audit
          .require({
            id: idOf(hash(JSON.stringify([reader, near.chain, fromSeq, toSeq]))),
            kind: "bridge.gap",
            agentId: near.agent,
            sessionId: near.session ?? undefined,
            metadata: { reader, chain: near.chain, fromSeq, toSeq, why }
          })
          .pipe(Effect.retry({ while: (error) => error._tag === "StoreError", schedule: patience }), Effect.ignore)
})

const idOf = (digest: Uint8Array): string => {
  const hex = Hex.encode(digest)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

const patience = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")])
