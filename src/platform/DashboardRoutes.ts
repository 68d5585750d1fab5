import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { PlatformApi } from "../schema/api/PlatformApi.ts"
import { type ForwardedGate, resolutionOf } from "../schema/ForwardedGate.ts"
import type { WorkflowPlace } from "../schema/Workspace.ts"
import { InboxStore } from "../services/InboxStore.ts"
import { IngestStore } from "../services/IngestStore.ts"
import { Cursors } from "./Cursors.ts"
import { makeDoor } from "./Membership.ts"
import { logged } from "./Unavailable.ts"

/** Timelines and the inbox, for the people of their workspace. */
export const layer = HttpApiBuilder.group(
  PlatformApi,
  "dashboard",
  Effect.fnUntraced(function* (handlers) {
    const events = yield* IngestStore
    const inbox = yield* InboxStore
    const cursors = yield* Cursors
    const { entitled, inWorkflow } = yield* makeDoor

    const opened = Effect.fnUntraced(function* (place: WorkflowPlace, cursor: string) {
      const position = yield* logged(cursors.open(place, cursor))
      return position === null ? yield* Effect.fail({ error: "invalid" } as const) : position
    })

    return handlers
      .handle(
        "timeline",
        Effect.fnUntraced(function* ({ params, query }) {
          yield* inWorkflow(params, "viewer", "timeline")
          const before = query.before === undefined ? null : yield* opened(params, query.before)
          const after = query.after === undefined ? null : yield* opened(params, query.after)
          const found = yield* logged(
            events.timeline(params, {
              before,
              after,
              agent: query.agent ?? null,
              session: query.session ?? null,
              eventType: query.type ?? null,
              limit: query.limit ?? 50
            })
          )
          const seal = yield* logged(cursors.seal)
          return found.map((row) => ({
            position: row.position,
            cursor: seal(params, row.position),
            event_id: row.event,
            event_type: row.eventType,
            agent_id: row.agent,
            session_id: row.session,
            created_at: row.createdAt,
            received_ms: row.receivedMs,
            instance: row.instance,
            seq: row.seq,
            sdk_version: row.sdkVersion,
            metadata: row.metadata
          }))
        })
      )
      .handle(
        "conflicts",
        Effect.fnUntraced(function* ({ params }) {
          yield* inWorkflow(params, "viewer", "timeline")
          return (yield* logged(events.conflicts(params, 100))).map(({ event, keptDigest, otherDigest, seenMs }) => ({
            event_id: event,
            kept_digest: keptDigest,
            other_digest: otherDigest,
            seen_ms: seenMs
          }))
        })
      )
      .handle(
        "approvals",
        Effect.fnUntraced(function* ({ params, query }) {
          yield* entitled(params.workspace, "viewer", "approvals")
          const nowMs = yield* Clock.currentTimeMillis
          const open = query.state !== "all"
          const found = yield* logged(inbox.list(params.workspace, { open, nowMs, limit: query.limit ?? 50 }))
          return found.map((gate) => cardOf(gate, nowMs))
        })
      )
      .handle(
        "decide",
        Effect.fnUntraced(function* ({ params: { request, ...place }, payload }) {
          const { email } = yield* inWorkflow(place, "approver", "approvals")
          const nowMs = yield* Clock.currentTimeMillis
          const shown = { decision: payload.decision, by: email, atMs: nowMs, actionHash: payload.action_hash }
          const decided = yield* logged(inbox.decide(place, request, shown))
          if (decided === null) return yield* Effect.fail({ error: "not_found" } as const)
          const card = cardOf(decided.gate, nowMs)
          return decided.taken ? card : yield* Effect.fail({ error: "not_open" as const, gate: card })
        })
      )
  })
)

const cardOf = (gate: ForwardedGate, nowMs: number) => {
  const { atMs, status, where } = resolutionOf(gate, nowMs)
  return {
    workflow: gate.workflow,
    request_id: gate.request,
    agent_id: gate.agent,
    kind: gate.kind,
    action_hash: gate.actionHash,
    expires_ms: gate.expiresMs,
    received_ms: gate.receivedMs,
    status,
    resolved_ms: atMs,
    resolved_in: where,
    decided_by: where === "inbox" && gate.inbox !== null ? gate.inbox.by : null
  }
}
