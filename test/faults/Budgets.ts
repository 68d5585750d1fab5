import { Effect } from "effect"
import { AgentId } from "../../src/schema/Ids.ts"
import type { PolicyInput } from "../../src/schema/Policy.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { TestDatabase } from "../support/database.ts"
import * as Processes from "./Processes.ts"
import { governance } from "./Truth.ts"

/** What each process says in its code; only the operator's row counts. */
const inCode = ["0.05", "0.20", "1.00", "100"]

/** A slow machine must not turn a budget's refusal into a missed deadline. */
export const patient = { enforcementDeadline: "20 seconds" } as const

/** Processes that share one agent with a budget of 0.10 dollars for each session, applied by an operator. */
export const fleet = Effect.fnUntraced(function* (options: {
  readonly count: number
  readonly agent: string
  readonly options?: GovernanceOptions
  /** The operator's policy; 0.10 dollars for each session without it. */
  readonly stored?: PolicyInput<"budget">
}) {
  const { appUrl } = yield* TestDatabase
  const processes = yield* Processes.make
  yield* PolicyStore.use((store) =>
    store.put({
      agentId: AgentId.make(options.agent),
      kind: "budget",
      body: options.stored ?? { perSessionUsd: "0.10" },
      source: "operator"
    })
  ).pipe(Effect.provide(governance(appUrl), { local: true }))
  const workers = yield* Effect.forEach(
    Array.from({ length: options.count }, (_, i) => i),
    (i) => processes.worker({ name: `payer-${i}`, url: appUrl, options: { ...patient, ...options.options } }),
    { concurrency: "unbounded" }
  )
  yield* Effect.forEach(workers, (worker, i) =>
    worker.ask({
      do: "policies",
      agent: options.agent,
      scope: { allowedTools: ["work"] },
      budget: { perSessionUsd: inCode[i % inCode.length] ?? "1" }
    })
  )
  return { workers, history: processes.history, processes }
})

/** 64 callers of a cent in every process at once, on a session's budget for ten. */
export const raceForTen = Effect.fnUntraced(function* (
  workers: ReadonlyArray<Processes.Worker>,
  agent: string,
  session: string
) {
  const answers = yield* Effect.forEach(
    workers,
    (worker) => worker.ask({ do: "admit", agent, session, callers: 64, maxUsd: "0.01", lastsMs: 5 }),
    { concurrency: "unbounded" }
  )
  const total: Record<string, number> = { admitted: 0 }
  for (const { admitted, refused } of answers) {
    total.admitted = (total.admitted ?? 0) + admitted
    for (const [tag, count] of Object.entries(refused)) total[tag] = (total[tag] ?? 0) + count
  }
  return total
})
