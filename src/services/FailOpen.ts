import { Clock, Effect } from "effect"
import type { CallPlan } from "../schema/CallPlan.ts"
import { LoopDetected } from "../schema/Loop.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { LoopWindow } from "./LoopWindow.ts"
import { Policies } from "./Policies.ts"
import { Settings } from "./Settings.ts"

/**
 * Room 6 when the store does not answer. Without `costFailOpen` the answer is no. With it the call goes on by the last known
 * halts and this process's own loop window, and every such call is logged (U-12).
 */
export const make = Effect.gen(function* () {
  const settings = yield* Settings
  const policies = yield* Policies
  const window = yield* LoopWindow

  return Effect.fnUntraced(function* (plan: CallPlan, error: StoreError) {
    const { agentId, sessionId, target } = plan
    // Only silence is overruled. A store that refuses the request, or contradicts itself, has answered.
    if (!settings.costFailOpen || !silent.has(error.problem)) return yield* error
    const policy = settings.enableLoop ? policies.get(agentId, "loop")?.policy : undefined
    if (policy !== undefined && target.kind !== "llm") {
      // Elapsed time, not the wall clock: a clock that is set must not empty a window.
      const nowMs = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
      const count = window.count(agentId, sessionId, target.name.toLowerCase(), policy.windowSeconds, nowMs)
      if (count > policy.maxCalls && policy.action === "raise") {
        const { maxCalls: limit, windowSeconds } = policy
        return yield* new LoopDetected({
          ...{ agentId, sessionId, tool: target.name, pattern: "count" },
          ...{ count, limit, windowSeconds }
        })
      }
    }
    yield* Effect.logWarning("cost.fail_open", { agent: agentId, call: target.name, problem: error.problem })
  })
})

const silent: ReadonlySet<StoreError["problem"]> = new Set(["unreachable", "deadline", "overload"])
