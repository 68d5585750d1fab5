import { Effect } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import type { AgentHaltedError } from "../schema/Presence.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { Halts } from "./Halts.ts"
import type { Lineages } from "./Lineages.ts"

/** Where an agent stands. `trouble` says that the store did not place it: then it counts as a root. */
export interface Standing {
  readonly path: ReadonlyArray<AgentId>
  readonly trouble: StoreError | null
}

/**
 * The first question of every direct check: who stands above the agent, and is anyone of them halted. A stranger is placed
 * while the halts are read, so that a silent store costs one deadline and not two.
 */
export const standing =
  (lineages: Lineages["Service"], halts: Halts["Service"]) =>
  (agentId: AgentId, where: string): Effect.Effect<Standing, AgentHaltedError | StoreError> => {
    const cached = lineages.cached(agentId)
    if (cached !== undefined) {
      return Effect.as(halts.check(agentId, cached.path, where), { path: cached.path, trouble: null })
    }
    const placing = Effect.match(lineages.of(agentId), {
      onSuccess: ({ path }): Standing => ({ path, trouble: null }),
      onFailure: (trouble): Standing => ({ path: lineages.known(agentId).path, trouble })
    })
    return Effect.all([placing, Effect.exit(halts.check(agentId, [agentId], where))], { concurrency: 2 }).pipe(
      Effect.tap(([, own]) => own),
      Effect.flatMap(([placed]) =>
        placed.path.length === 1 ? Effect.succeed(placed) : Effect.as(halts.check(agentId, placed.path, where), placed)
      )
    )
  }
