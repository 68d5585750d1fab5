import { Clock, Effect } from "effect"
import { InvalidAuditEvent } from "../schema/AuditError.ts"
import type { AuditIntake } from "../schema/AuditIntake.ts"
import { type AgentId, agentChain } from "../schema/Ids.ts"
import type * as AuditDelivery from "./AuditDelivery.ts"

interface Window {
  count: number
  dropped: number
}

/**
 * At most so many events per second and agent (V8-12). What is beyond fails as no event, and each second in which that
 * happened leaves one `audit.rate_limited` row with the count in the agent's chain, so the gap is stated. `require` is never
 * limited: decisions are not noise.
 */
export const make = Effect.fnUntraced(function* (
  perSecond: number | null,
  delivery: Effect.Success<ReturnType<typeof AuditDelivery.make>>
) {
  if (perSecond === null) return (_: AuditIntake): Effect.Effect<void, InvalidAuditEvent> => Effect.void
  let windows = new Map<AgentId, Window>()
  let second = 0

  const confess = Effect.fnUntraced(function* (agent: AgentId, dropped: number) {
    const own = yield* delivery.ownDraft("audit.rate_limited", { count: dropped, perSecond })
    yield* delivery.deliver({ ...own, agent, chain: agentChain(agent) })
  })

  /** Closes the windows of a second that is over. */
  const turn = Effect.gen(function* () {
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    if (now === second) return
    second = now
    const closed = windows
    windows = new Map()
    for (const [agent, window] of closed) if (window.dropped > 0) yield* confess(agent, window.dropped)
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("1 second"), turn)))
  yield* Effect.addFinalizer(() =>
    Effect.forEach(windows, ([agent, window]) => (window.dropped > 0 ? confess(agent, window.dropped) : Effect.void), {
      discard: true
    })
  )

  return Effect.fnUntraced(function* ({ agent }: AuditIntake) {
    yield* turn
    const window = windows.get(agent) ?? { count: 0, dropped: 0 }
    windows.set(agent, window)
    window.count++
    if (window.count <= perSecond) return
    window.dropped++
    return yield* new InvalidAuditEvent({ field: "agentId", problem: `logs more than ${perSecond} events per second` })
  })
})
