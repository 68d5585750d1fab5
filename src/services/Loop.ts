import { Context, Effect, Layer } from "effect"
import type { ConfigurationError } from "../schema/ConfigurationError.ts"
import { Identifier } from "../schema/Identifier.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import { LoopDetected, type LoopPolicyInput } from "../schema/Loop.ts"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import type { AgentHaltedError } from "../schema/Presence.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument, decodeIds } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { askedOf } from "./Deadline.ts"
import { Halts } from "./Halts.ts"
import { Lineages } from "./Lineages.ts"
import { LoopStore } from "./LoopStore.ts"
import { LoopWindow } from "./LoopWindow.ts"
import { Policies } from "./Policies.ts"
import { Settings } from "./Settings.ts"
import { standing } from "./Standing.ts"

/** Notices an agent that repeats itself. Windows are shared by all processes; a store that is down leaves each its own. */
export class Loop extends Context.Service<
  Loop,
  {
    readonly register: (
      policy: LoopPolicyInput & { readonly agentId: string }
    ) => Effect.Effect<void, ConfigurationError | ModuleDisabledError>
    /** Counts one call; fails when the count exceeds `maxCalls` and the policy says `raise` (LOP-02). No policy: a no-op. */
    readonly recordCall: (
      agentId: string,
      sessionId: string | null,
      tool: string
    ) => Effect.Effect<void, LoopDetected | AgentHaltedError | InvalidInput | StoreError | ModuleDisabledError>
    /** True when a window of the session is over its limit now. Counts nothing, never fails (LOP-03). */
    readonly check: (agentId: string, sessionId: string | null) => Effect.Effect<boolean>
  }
>()("effect-governance/services/Loop") {}

export const make = Effect.gen(function* () {
  const policies = yield* Policies
  const store = yield* LoopStore
  const local = yield* LoopWindow
  const halts = yield* Halts
  const lineages = yield* Lineages
  const audit = yield* Audit
  const settings = yield* Settings
  const stand = standing(lineages, halts)
  const bounded = askedOf("LoopStore", settings.enforcementDeadline)

  const recordCall = Effect.fn("Loop.recordCall")(function* (id: string, session: string | null, toolName: string) {
    const { agentId, sessionId } = yield* decodeIds(id, session)
    const tool = (yield* decodeArgument(toolNames, "tool", toolName)).toLowerCase()
    const { trouble } = yield* stand(agentId, "loop.record_call")
    // What the store has counted is counted here too: should it fall silent, the window goes on from there.
    const asked = policies.stored([agentId]).pipe(
      Effect.andThen(store.record(agentId, sessionId, tool)),
      Effect.tap((counted) =>
        counted === null ? Effect.void : local.count(agentId, sessionId, tool, counted.windowSeconds)
      )
    )
    const counted = yield* Effect.catch(
      trouble === null ? bounded("record", asked) : Effect.fail(trouble),
      Effect.fnUntraced(function* (error) {
        yield* Effect.logWarning("loop.store_failed", { problem: error.problem, window: "in memory" })
        const policy = policies.get(agentId, "loop")?.policy
        if (policy === undefined) return null
        const count = yield* local.count(agentId, sessionId, tool, policy.windowSeconds)
        return { count, maxCalls: policy.maxCalls, windowSeconds: policy.windowSeconds, action: policy.action }
      })
    )
    if (counted === null || counted.count <= counted.maxCalls) return
    const detected = new LoopDetected({
      agentId,
      sessionId,
      tool,
      pattern: "count",
      count: counted.count,
      limit: counted.maxCalls,
      windowSeconds: counted.windowSeconds
    })
    yield* Effect.ignore(
      audit.log({
        kind: "loop.detected",
        agentId,
        sessionId: sessionId ?? undefined,
        metadata: {
          tool,
          count: counted.count,
          limit: counted.maxCalls,
          windowSeconds: counted.windowSeconds,
          action: counted.action
        }
      })
    )
    if (counted.action === "raise") return yield* detected
    yield* Effect.logWarning("loop.detected", { agent: agentId, tool, count: counted.count })
  })

  const check = Effect.fn("Loop.check")(
    function* (id: string, session: string | null) {
      const { agentId, sessionId } = yield* decodeIds(id, session)
      const fullest = yield* bounded("peek", store.peek(agentId, sessionId))
      return fullest !== null && fullest.count > fullest.maxCalls
    },
    Effect.catch((error) => Effect.as(Effect.logWarning("loop.check_failed", { problem: error.message }), false))
  )

  return Loop.of({
    register: ({ agentId, ...policy }) => policies.register(agentId, "loop", policy),
    recordCall,
    check
  })
})

export const layer = Layer.effect(Loop, make)

/** Nothing is counted. Warned once at start; direct calls fail (ENT-05). */
export const layerOff = Layer.effect(
  Loop,
  Effect.as(
    Effect.logWarning("loop.disabled", { effect: "repeated calls are not noticed in this process" }),
    Loop.of({
      register: () => Effect.fail(off),
      recordCall: () => Effect.fail(off),
      check: () => Effect.die(off)
    })
  )
)

const toolNames = Identifier(512)
const off = new ModuleDisabledError({ module: "loop" })
