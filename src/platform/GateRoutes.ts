import { Clock, DateTime, Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { CurrentWorkflow } from "../schema/api/Access.ts"
import { PlatformApi } from "../schema/api/PlatformApi.ts"
import type { GateResolution } from "../schema/BridgeWire.ts"
import { type ForwardedGate, resolutionOf } from "../schema/ForwardedGate.ts"
import { ActionHash } from "../schema/GateRequest.ts"
import { normaliseIdentifier } from "../schema/Identifier.ts"
import { OperatorId } from "../schema/Ids.ts"
import * as Redaction from "../schema/Redaction.ts"
import { InboxStore } from "../services/InboxStore.ts"
import { logged } from "./Unavailable.ts"

/** The routes that bridges use for requests for approval. */
export const layer = HttpApiBuilder.group(
  PlatformApi,
  "gates",
  Effect.fnUntraced(function* (handlers) {
    const store = yield* InboxStore

    return handlers
      .handle(
        "forward",
        Effect.fnUntraced(function* ({ payload }) {
          const { workflow, workspace } = yield* CurrentWorkflow
          const nowMs = yield* Clock.currentTimeMillis
          const expiresMs = momentOf(payload.expires_at)
          const kind = normaliseIdentifier(Redaction.standard.text(payload.kind))
          if (expiresMs === null || kind === "") return yield* Effect.fail(invalid)
          const gate = {
            workspace,
            workflow,
            request: payload.request_id,
            agent: Redaction.standard.text(payload.agent_id),
            kind,
            actionHash: payload.action_hash,
            expiresMs,
            sdkVersion: payload.sdk_version,
            receivedMs: nowMs
          }
          const kept = yield* logged(store.forward(gate))
          if (kept === "Differs") return yield* Effect.fail({ error: "gate_differs" } as const)
          const found = kept === "NoWorkflow" ? null : yield* logged(store.find(gate, gate.request))
          return found === null ? yield* Effect.fail(notFound) : answerOf(found, nowMs)
        })
      )
      .handle(
        "resolution",
        Effect.fnUntraced(function* ({ params }) {
          const found = yield* logged(store.find(yield* CurrentWorkflow, params.id))
          return found === null ? yield* Effect.fail(notFound) : answerOf(found, yield* Clock.currentTimeMillis)
        })
      )
      .handle(
        "settle",
        Effect.fnUntraced(function* ({ params, payload }) {
          const atMs = momentOf(payload.resolved_at)
          if (atMs === null) return yield* Effect.fail(invalid)
          const local = { status: payload.status, atMs }
          const settled = yield* logged(store.settle(yield* CurrentWorkflow, params.id, local))
          return settled === null ? yield* Effect.fail(notFound) : answerOf(settled, yield* Clock.currentTimeMillis)
        })
      )
  })
)

const notFound = { error: "not_found" } as const
const invalid = { error: "invalid" } as const

const momentOf = (text: string): number | null =>
  Option.match(DateTime.make(text), { onNone: () => null, onSome: DateTime.toEpochMillis })

/** Never a reason: what a reviewer wrote must not reach an agent (FWD-07). */
const answerOf = (gate: ForwardedGate, nowMs: number): GateResolution => {
  const { atMs, status, where } = resolutionOf(gate, nowMs)
  return {
    status,
    resolved_at: atMs === null ? null : DateTime.formatIso(DateTime.makeUnsafe(atMs)),
    action_hash: ActionHash.make(gate.actionHash),
    decided_by: where === "inbox" && gate.inbox !== null ? OperatorId.make(gate.inbox.by) : null
  }
}
