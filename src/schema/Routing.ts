import { Schema } from "effect"
import { matches, NamePattern } from "./AgentScope.ts"
import { type BudgetState, remainingOf } from "./Cost.ts"

const Model = Schema.NonEmptyString.check(Schema.isMaxLength(256))

/** Cheaper models for when the budget runs short: below 50 per cent the first, below 20 the second. */
export const CostAwareRouting = Schema.Struct({
  mode: Schema.Literal("cost_aware"),
  /** In order, each for less of the budget than the one before it. */
  cheaperModels: Schema.Array(
    Schema.Struct({
      model: Model,
      /** Used while less than this percentage of the tightest dollar cap on the agent's path is left. */
      budgetRemainingPct: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))
    })
  ).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(20),
    Schema.makeFilter(
      (steps) =>
        steps.every((step, i) => i === 0 || step.budgetRemainingPct < steps[i - 1]!.budgetRemainingPct) ||
        "each model needs a smaller budgetRemainingPct than the one before it"
    )
  )
})

/** What is asked for, exactly or as a prefix that ends in `*`, and what is used in its place. The longest match counts. */
export const RulesRouting = Schema.Struct({
  mode: Schema.Literal("rules"),
  rules: Schema.Record(NamePattern, Model).check(Schema.isMinProperties(1), Schema.isMaxProperties(1000))
})

/** Which model an agent's calls had better use (ROU-01, OQ-11). Advice: it loosens no ceiling and refuses nothing. */
export const RoutingPolicy = Schema.Union([CostAwareRouting, RulesRouting])
export type RoutingPolicy = typeof RoutingPolicy.Type
export type RoutingPolicyInput = typeof RoutingPolicy.Encoded

/** How much of the tightest dollar cap is left, holds counted as spent: 0 to 100, to the hundredth below. Null without such a cap. */
export const remainingPct = (caps: BudgetState["caps"]): number | null =>
  caps
    .filter(({ cap }) => cap === "perSessionUsd" || cap === "perAgentUsdDaily")
    .map((state) => (state.limit === 0n ? 0 : Number((remainingOf(state) * 10_000n) / state.limit) / 100))
    .reduce<number | null>((least, left) => (least === null || left < least ? left : least), null)

/** The models that a policy would rather have used, the best first; the one that was asked for ends the list. */
export const candidates = (policy: RoutingPolicy, model: string, left: number | null): ReadonlyArray<string> => {
  const wanted = policy.mode === "rules" ? ruled(policy.rules, model) : cheaper(policy.cheaperModels, left)
  const own = wanted.indexOf(model)
  return own === -1 ? wanted : wanted.slice(0, own)
}

const ruled = (rules: Readonly<Record<string, string>>, model: string): ReadonlyArray<string> => {
  if (Object.hasOwn(rules, model)) return [rules[model]!]
  const [longest] = Object.keys(rules)
    .filter((pattern) => matches(pattern, model))
    .sort((a, b) => b.length - a.length)
  return longest === undefined ? [] : [rules[longest]!]
}

const cheaper = (
  steps: ReadonlyArray<{ readonly model: string; readonly budgetRemainingPct: number }>,
  left: number | null
): ReadonlyArray<string> =>
  left === null
    ? []
    : steps
        .filter(({ budgetRemainingPct }) => left < budgetRemainingPct)
        .map(({ model }) => model)
        .reverse()
