/** Which model a call had better use. Advice: it loosens no ceiling and refuses nothing. */
export interface Routing {
  /** Counts for those that the agent delegates to, unless they have their own. */
  register(policy: RoutingPolicy & { readonly agentId: string }): Promise<void>
  /** The model to use, mostly the one that is asked for. Never rejects for what it is asked. */
  suggest(question: RoutingQuestion): Promise<string>
}

/** By what is left of the budget, or by a table from the model that is asked for (or a prefix that ends in `*`) to another. */
export type RoutingPolicy =
  | {
      readonly mode: "cost_aware"
      /** In order, each for less of the budget than the one before it. */
      readonly cheaperModels: ReadonlyArray<{ readonly model: string; readonly budgetRemainingPct: number }>
    }
  | { readonly mode: "rules"; readonly rules: { readonly [model: string]: string } }

export interface RoutingQuestion {
  readonly agentId: string
  readonly sessionId?: string | null | undefined
  readonly model: string
  readonly provider?: string | undefined
}
