import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { CallOptions } from "../../src/schema/CallPlan.ts"
import type { PolicyInput } from "../../src/schema/Policy.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { memory } from "../services/World.ts"

export const agentId = "clerk"
export const owner = "olga@example.org"
export const world = (options: GovernanceOptions = {}) => memory(options)

/** An agent that may do everything, has an owner, and needs approval for `pay`. */
export const clerk = (gate: Partial<PolicyInput<"gate">> = {}) =>
  Effect.gen(function* () {
    yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
    yield* (yield* Presence).heartbeat(agentId, { operatorId: owner })
    yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"], ...gate })
  })

export const pay = (input: unknown = { to: "A", usd: "5" }, more: object = {}): CallOptions => ({
  agentId,
  sessionId: "s1",
  tool: "pay",
  input,
  ...more
})

/** What waits for a person now, and the token that decides it. */
export const cards = Effect.flatMap(Gates, (gates) => gates.list({ agentId }))
export const card = Effect.flatMap(cards, ([first]) =>
  first === undefined || first.token === null
    ? Effect.die(new Error("nobody waits"))
    : Effect.succeed({ ...first, token: first.token })
)

/** Starts an effect and lets it come to where it waits. */
export const started = Effect.fnUntraced(function* <A, E, R>(self: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(self)
  yield* settle
  return fiber
})
export const settle = Effect.forEach(Array.from({ length: 30 }), () => Effect.yieldNow, { discard: true })

/** Lets a waiting fiber see what has changed. */
export const ended = Effect.fnUntraced(function* <A, E>(fiber: Fiber.Fiber<A, E>) {
  yield* settle
  yield* TestClock.adjust("1 second")
  yield* settle
  return yield* Fiber.await(fiber)
})

export const grant = (by = "rita@example.org", more: object = {}) =>
  Effect.gen(function* () {
    const { token } = yield* card
    return yield* (yield* Gates).grant(token, { by, ...more })
  })
