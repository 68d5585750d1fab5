import { Effect, Option } from "effect"
import { Command } from "effect/cli"
import { type BudgetState, type CapState, formatAmount, remainingOf } from "../../schema/Cost.ts"
import { formatUsd } from "../../schema/Money.ts"
import { CostStore, type ModelSpend } from "../../services/CostStore.ts"
import { withStores } from "../Environment.ts"
import { agent, agentIdOf, session, sessionIdOf } from "../Names.ts"
import { answer } from "../Output.ts"
import { facts, table } from "../Table.ts"

/** What an agent has spent and what is left. Reads the counters themselves: a store that is down is an error, never zeros. */
export const budget = Command.make("budget", { agent, session }).pipe(
  Command.withDescription("What an agent has spent today and in a session, and what every cap on its path has left."),
  Command.withExamples([
    { command: "governance budget billing-agent", description: "Today" },
    { command: "governance budget billing-agent --session order-4711", description: "Today and in one session" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const agentId = yield* agentIdOf(input.agent)
      const sessionId = Option.isSome(input.session) ? yield* sessionIdOf(input.session.value) : null
      const store = yield* CostStore
      const state = yield* store.snapshot(agentId, sessionId)
      const models = yield* store.breakdown(agentId)
      yield* answer(jsonOf(state, models), (width) => text(state, models, width))
    }, withStores)
  )
)

const text = (state: BudgetState, models: ReadonlyArray<ModelSpend>, width: number | undefined): string =>
  [
    facts([
      ["agent", state.agentId],
      ...(state.sessionId === null
        ? []
        : [
            ["session", state.sessionId] as const,
            ["spent in session", `${formatUsd(state.sessionUsd)}, ${state.sessionTokens} tokens`] as const
          ]),
      [`spent on ${state.day} UTC`, `${formatUsd(state.dailyUsd)}, ${state.dailyTokens} tokens`],
      ["held by open calls", formatUsd(state.heldUsd)]
    ]),
    "",
    state.caps.length === 0
      ? "No budget is set: nothing limits what this agent spends."
      : table(capColumns, state.caps, width),
    ...(models.length === 0 ? [] : ["", table(modelColumns, models, width)])
  ].join("\n")

const capColumns = [
  { title: "CAP", keep: true, value: (cap: CapState) => cap.cap },
  { title: "POLICY OF", value: (cap: CapState) => cap.policyOf },
  { title: "USED", right: true, keep: true, value: (cap: CapState) => formatAmount(cap.cap, cap.used) },
  { title: "LIMIT", right: true, keep: true, value: (cap: CapState) => formatAmount(cap.cap, cap.limit) },
  { title: "LEFT", right: true, keep: true, value: (cap: CapState) => formatAmount(cap.cap, remainingOf(cap)) }
]

const modelColumns = [
  { title: "MODEL", value: (spent: ModelSpend) => spent.model },
  { title: "SPENT", right: true, keep: true, value: (spent: ModelSpend) => formatUsd(spent.usd) },
  { title: "TOKENS", right: true, keep: true, value: (spent: ModelSpend) => String(spent.tokens) }
]

/** The names of CST-13; dollars as decimal text, tokens as text where they may pass 2^53. Null: no such cap. */
const jsonOf = (state: BudgetState, models: ReadonlyArray<ModelSpend>) => {
  const left = (cap: CapState["cap"]) => {
    const own = state.caps.find((one) => one.cap === cap && one.policyOf === state.agentId)
    return own === undefined ? null : amount(cap, remainingOf(own))
  }
  return {
    agentId: state.agentId,
    sessionId: state.sessionId,
    day: state.day,
    sessionUsdUsed: dollars(state.sessionUsd),
    sessionUsdRemaining: left("perSessionUsd"),
    sessionTokensUsed: state.sessionTokens,
    sessionTokensRemaining: left("perSessionTokens"),
    agentDailyUsdUsed: dollars(state.dailyUsd),
    agentDailyUsdRemaining: left("perAgentUsdDaily"),
    agentDailyTokensUsed: state.dailyTokens,
    agentDailyTokensRemaining: left("perAgentTokensDaily"),
    heldUsd: dollars(state.heldUsd),
    caps: state.caps.map(({ cap, limit, policyOf, used }) => ({
      cap,
      policyOf,
      limit: amount(cap, limit),
      used: amount(cap, used)
    })),
    models: models.map(({ model, tokens, usd }) => ({ model, usd: dollars(usd), tokens }))
  }
}

const dollars = (usd: BudgetState["dailyUsd"]) => formatUsd(usd).slice(1)
const amount = (cap: CapState["cap"], value: bigint) =>
  cap.includes("Usd") ? formatAmount(cap, value).slice(1) : value.toString()
