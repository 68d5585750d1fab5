import { Effect } from "effect"
import * as Host from "../../src/integrations/Host.ts"
import type { ScopePolicyInput } from "../../src/schema/AgentScope.ts"
import type { BudgetPolicyInput } from "../../src/schema/Cost.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"

export const agentId = "clerk"
export const sessionId = "s1"

export interface AgentPolicies {
  readonly scope?: Partial<ScopePolicyInput> | undefined
  readonly budget?: BudgetPolicyInput | undefined
  /** Tools that wait for a person; with them the agent has an operator, who cannot approve for himself. */
  readonly gated?: ReadonlyArray<string> | undefined
}

/** Makes the agent of all these tests: it may do anything for ten dollars, unless its policies say otherwise. */
export const governedAgent = Effect.fnUntraced(function* ({ budget, gated, scope }: AgentPolicies = {}) {
  yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"], ...scope })
  yield* (yield* Cost).register({ agentId, ...(budget ?? { perSessionUsd: 10 }) })
  if (gated !== undefined) {
    yield* (yield* Policies).register(agentId, "gate", { requireApproval: [...gated] })
    yield* (yield* Presence).heartbeat(agentId, { operatorId: "olga@example.org" })
  }
  return yield* Host.make
})

/** Nano-USD of a session: settled, and held by open calls. */
export const money = (session = sessionId) =>
  Effect.map(
    Cost.use((cost) => cost.snapshot(agentId, session)),
    ({ state }) => ({ spent: Number(state.sessionUsd), held: Number(state.heldUsd) })
  )

const rows = (session: string) => Audit.use((audit) => audit.traceSessionChain(session))

export const kinds = (session = sessionId) => Effect.map(rows(session), (all) => all.map(({ kind }) => kind))

/** With what each outcome was. */
export const outcomes = (session = sessionId) =>
  Effect.map(rows(session), (all) =>
    all.map(({ kind, metadata }) => [kind, Object(metadata).result].filter(Boolean).join(" "))
  )

export const halt = Presence.use((presence) => presence.halt(agentId, { by: "ada", reason: "stop" }))

/** Asks again until it is so; fails after five seconds. */
export const until = async (is: () => boolean | Promise<boolean>): Promise<void> => {
  const from = performance.now()
  while (!(await is())) {
    if (performance.now() - from > 5000) throw new Error(`never happened: ${is}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** What a promise rejects with. */
export const rejection = (promise: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(promise).then(
    (value) => {
      throw new Error(`did not reject, but gave ${JSON.stringify(value)}`)
    },
    (error: unknown) => error
  )
