import { Clock, Effect, Schedule } from "effect"
import { Hex } from "effect/encoding"
import type { ChainRow } from "../schema/Envelope.ts"
import { type ChainId, EventId } from "../schema/Ids.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import { Audit } from "../services/Audit.ts"
import { AuditStore } from "../services/AuditStore.ts"
import { ChainKeys } from "../services/ChainKeys.ts"

/** Why rows were passed over. `rejected`: the platform refuses them, whenever they come. */
export type GapReason = "rejected" | "too_old" | "pruned"

/** Writes into the log, sealed and signed as every row, which rows the platform will never get: once for each range (B-21). */
export const make = Effect.fnUntraced(function* (reader: string) {
  const audit = yield* Audit
  const log = yield* AuditStore
  const { hash } = yield* ChainKeys
  const idOf = (chain: ChainId, fromSeq: number, toSeq: number) =>
    EventId.make(uuidOf(hash(JSON.stringify([reader, chain, fromSeq, toSeq]))))

  return {
    /** In the chain itself, by the agent of a row that is there. */
    beside: ({ agent, chain, session }: ChainRow, fromSeq: number, toSeq: number, why: GapReason) =>
      audit
        .require({
          id: idOf(chain, fromSeq, toSeq),
          kind: gapKind,
          agentId: agent,
          sessionId: session ?? undefined,
          metadata: { reader, chain, fromSeq, toSeq, why }
        })
        .pipe(Effect.retry({ while: (error) => error._tag === "StoreError", schedule: patience }), Effect.ignore),

    /** In chain `operator`, where the chain has no row left that would say whose it was. */
    apart: (chain: ChainId, fromSeq: number, toSeq: number, why: GapReason) =>
      Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
        log.append(operatorDraft(idOf(chain, fromSeq, toSeq), nowMs, gapKind, { reader, chain, fromSeq, toSeq, why }))
      ).pipe(Effect.retry(patience), Effect.ignore)
  }
})

export const gapKind = "bridge.gap"

const uuidOf = (digest: Uint8Array): string => {
  const hex = Hex.encode(digest)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

const patience = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")])
