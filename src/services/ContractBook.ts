import { Context, Effect, Layer } from "effect"
import type { Contract, ContractViolation } from "../schema/Contract.ts"
import type { AgentId } from "../schema/Ids.ts"
import * as ContractChecks from "./ContractChecks.ts"

/** The contracts and checks of this process. Checks are functions, so a contract lives where its program registers it. */
export class ContractBook extends Context.Service<
  ContractBook,
  {
    /** Replaces the one of the same agent and tool. */
    readonly put: (contract: Contract) => void
    readonly putCheck: (name: string, check: ContractChecks.CustomCheck) => void
    readonly of: (agentId: AgentId) => ReadonlyArray<Contract>
    /** Whether anybody at all has a contract for the tool. */
    readonly knows: (tool: string) => boolean
    /** Those that bind an agent: its own and those of the agents above it, from the root down. */
    readonly along: (path: ReadonlyArray<AgentId>, tool: string) => ReadonlyArray<Contract>
    readonly pre: (
      contracts: ReadonlyArray<Contract>,
      call: ContractChecks.Judged
    ) => Effect.Effect<void, ContractViolation | ContractChecks.ConditionError>
    readonly post: (
      contracts: ReadonlyArray<Contract>,
      call: ContractChecks.Judged
    ) => Effect.Effect<void, ContractViolation>
  }
>()("effect-governance/services/ContractBook") {}

export const make = Effect.gen(function* () {
  const customs = new Map<string, ContractChecks.CustomCheck>()
  const byTool = new Map<string, Map<AgentId, Contract>>()
  const { post, pre } = yield* ContractChecks.make(customs)

  return ContractBook.of({
    put: (contract) => {
      const known = byTool.get(contract.tool)
      if (known === undefined) byTool.set(contract.tool, new Map([[contract.agentId, contract]]))
      else known.set(contract.agentId, contract)
    },
    putCheck: (name, check) => {
      customs.set(name, check)
    },
    of: (agentId) => [...byTool.values()].flatMap((agents) => agents.get(agentId) ?? []),
    knows: (tool) => byTool.has(tool),
    along: (path, tool) => {
      const agents = byTool.get(tool)
      return agents === undefined ? none : path.flatMap((agent) => agents.get(agent) ?? [])
    },
    pre,
    post
  })
})

export const layer = Layer.effect(ContractBook, make)

const none: ReadonlyArray<Contract> = []
