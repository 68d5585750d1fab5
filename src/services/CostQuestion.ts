import type { CallOptions, CallPlan } from "../schema/CallPlan.ts"

/** What a call would take at most: a model with its tokens, or an amount. */
export interface CostQuestion {
  readonly model?: string
  readonly provider?: string
  readonly inputTokens?: number
  readonly maxTokens?: number
  readonly usd?: number | string
}

export const questionOf = (plan: CallPlan, options: CallOptions): CostQuestion =>
  "model" in options
    ? {
        model: options.model,
        ...(options.provider === undefined ? {} : { provider: options.provider }),
        inputTokens: plan.inputTokens,
        ...(options.maxTokens === undefined ? {} : { maxTokens: options.maxTokens })
      }
    : options.maxUsd === undefined
      ? free
      : { usd: options.maxUsd }

const free: CostQuestion = {}
