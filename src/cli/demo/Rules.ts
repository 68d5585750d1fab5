import { Effect } from "effect"
import { AgentScope } from "../../services/AgentScope.ts"
import { Cost } from "../../services/Cost.ts"
import { Loop } from "../../services/Loop.ts"
import { Policies } from "../../services/Policies.ts"
import { Presence } from "../../services/Presence.ts"
import { helperAgent, supportAgent } from "./Sessions.ts"

/** What the demo's agents may do: registered as any program registers it. */
export const register = Effect.gen(function* () {
  const scope = yield* AgentScope
  const cost = yield* Cost
  const loop = yield* Loop
  const policies = yield* Policies
  const presence = yield* Presence
  const agentId = supportAgent
  yield* scope.register({ agentId, allowedTools, allowedModels: ["gpt-4o*"] })
  yield* cost.register({ agentId, perSessionUsd: "50.00" })
  yield* loop.register({ agentId, windowSeconds: 60, maxCalls: 20, progress: { maxRepeats: 2 } })
  yield* policies.register(agentId, "gate", { requireApproval: ["close_account"] })
  yield* presence.heartbeat(agentId, { operatorId: "grace" })
  yield* presence.delegate(agentId, helperAgent)
  yield* scope.register({ agentId: helperAgent, allowedTools: ["*"] })
})

const allowedTools = ["find_order", "track_parcel", "refund_order", "close_account", "ask_courier"]

/** The same for a person, in one glance. */
export const inWords: ReadonlyArray<readonly [string, string]> = [
  ["may use", allowedTools.join(", ")],
  ["budget", "$50.00 for each conversation, refunds and model together"],
  ["repeats", "the same call with the same answer at most twice in a row"],
  ["asks first", "close_account needs a person's approval"],
  ["halt", "any operator can stop it, at any time, from anywhere"]
]
