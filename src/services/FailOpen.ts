import { Effect } from "effect"
import type { CallPlan } from "../schema/CallPlan.ts"
import { looping } from "../schema/Refusal.ts"
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
      const count = yield* window.count(agentId, sessionId, target.name.toLowerCase(), policy.windowSeconds)
      if (count > policy.maxCalls && policy.action === "raise") {
        const { maxCalls: limit, windowSeconds } = policy
        return yield* looping(plan, "count", count, limit, windowSeconds)
      }
    }
    yield* Effect.logWarning("cost.fail_open", { agent: agentId, call: target.name, problem: error.problem })
  })
})

const silent: ReadonlySet<StoreError["problem"]> = new Set(["unreachable", "deadline", "overload"])
