import { Context, Effect, Layer } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import { DelegationError, type Lineage } from "../schema/Presence.ts"
import { StoreError } from "../schema/StoreError.ts"
import { within } from "./Deadline.ts"
import { PresenceStore } from "./PresenceStore.ts"
import { Settings } from "./Settings.ts"

/** Who delegated to whom, cached for good: an agent's place in its tree never changes (BEY-09). */
export class Lineages extends Context.Service<
  Lineages,
  {
    /** An agent that is not known yet becomes a root. */
    readonly of: (agentId: AgentId) => Effect.Effect<Lineage, StoreError>
    readonly cached: (agentId: AgentId) => Lineage | undefined
    /** What is known without asking the store; a stranger counts as a root. */
    readonly known: (agentId: AgentId) => Lineage
    /** Makes `agentId` a delegate of `parent`: before its first use, and for good. */
    readonly delegate: (parent: AgentId, agentId: AgentId) => Effect.Effect<Lineage, DelegationError | StoreError>
  }
>()("effect-governance/services/Lineages") {}

export const make = Effect.gen(function* () {
  const store = yield* PresenceStore
  const settings = yield* Settings
  const cache = new Map<AgentId, Lineage>()

  const remember = (agentId: AgentId, lineage: Lineage): Lineage => {
    if (cache.size >= maxCached) cache.clear()
    cache.set(agentId, lineage)
    return lineage
  }

  const of = (agentId: AgentId): Effect.Effect<Lineage, StoreError> => {
    const known = cache.get(agentId)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.map(within(store.enrol(agentId, null), settings.enforcementDeadline, tooLate), (result) =>
      result._tag === "Enrolled" ? remember(agentId, result.lineage) : rootOf(agentId)
    )
  }

  const delegate = Effect.fn("Lineages.delegate")(function* (parent: AgentId, agentId: AgentId) {
    if (parent === agentId) return yield* new DelegationError({ agentId, parent, problem: "self" })
    const result = yield* within(store.enrol(agentId, parent), settings.enforcementDeadline, tooLate)
    switch (result._tag) {
      case "Enrolled":
        return remember(agentId, result.lineage)
      case "AgentExists":
        return yield* new DelegationError({ agentId, parent, problem: "agent_exists" })
      case "ParentUnknown":
        return yield* new DelegationError({ agentId, parent, problem: "parent_unknown" })
      case "TooDeep":
        return yield* new DelegationError({ agentId, parent, problem: "too_deep" })
    }
  })

  return Lineages.of({
    of,
    cached: (agentId) => cache.get(agentId),
    known: (agentId) => cache.get(agentId) ?? rootOf(agentId),
    delegate
  })
})

export const layer = Layer.effect(Lineages, make)

const tooLate = () => StoreError.because({ store: "PresenceStore", operation: "enrol", problem: "deadline" }, undefined)
const maxCached = 100_000
const rootOf = (agentId: AgentId): Lineage => ({ root: agentId, path: [agentId] })
