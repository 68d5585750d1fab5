import { Context } from "effect"
import { Bridge } from "../bridge/Bridge.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import { type Module, ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import { AgentKeys as AgentKeysService } from "../services/AgentKeys.ts"
import { AgentScope } from "../services/AgentScope.ts"
import { Audit as AuditService } from "../services/Audit.ts"
import { Bundles as BundlesService } from "../services/Bundles.ts"
import { Checkpoints as CheckpointsService } from "../services/Checkpoints.ts"
import { Compliance as ComplianceService } from "../services/Compliance.ts"
import { Contracts as ContractsService } from "../services/Contracts.ts"
import { Cost as CostService } from "../services/Cost.ts"
import { Coverage as CoverageService } from "../services/Coverage.ts"
import { Erasure as ErasureService } from "../services/Erasure.ts"
import { Gates as GatesService } from "../services/Gates.ts"
import { LegalHolds as LegalHoldsService } from "../services/LegalHolds.ts"
import { Loop as LoopService } from "../services/Loop.ts"
import { Policies as PoliciesService } from "../services/Policies.ts"
import { Presence as PresenceService } from "../services/Presence.ts"
import { Pricing as PricingService } from "../services/Pricing.ts"
import { Prompts as PromptsService } from "../services/Prompts.ts"
import { Retention as RetentionService } from "../services/Retention.ts"
import { Routing as RoutingService } from "../services/Routing.ts"
import type { AgentKeys } from "./AgentKeys.ts"
import * as Audit from "./Audit.ts"
import type { Checkpoints } from "./Checkpoints.ts"
import * as Compliance from "./Compliance.ts"
import * as Contracts from "./Contracts.ts"
import type { Cost } from "./Cost.ts"
import * as Coverage from "./Coverage.ts"
import * as Gates from "./Gates.ts"
import * as Keeping from "./Keeping.ts"
import type { Loop } from "./Loop.ts"
import { hidden, methodsOf } from "./Methods.ts"
import type { Platform } from "./Platform.ts"
import * as Policies from "./Policies.ts"
import type { Presence } from "./Presence.ts"
import * as Pricing from "./Pricing.ts"
import type { Prompts } from "./Prompts.ts"
import type { Routing } from "./Routing.ts"
import type { Running } from "./Running.ts"
import * as Scope from "./Scope.ts"

/** What governance consists of, by concern. */
export interface Modules {
  readonly audit: Audit.Audit
  readonly scope: Scope.Scope
  readonly cost: Cost
  readonly gates: Gates.Gates
  readonly loop: Loop
  readonly presence: Presence
  readonly contracts: Contracts.Contracts
  readonly policies: Policies.Policies
  readonly pricing: Pricing.Pricing
  readonly prompts: Prompts
  readonly compliance: Compliance.Compliance
  readonly bundles: Compliance.Bundles
  readonly erasure: Keeping.Erasure
  readonly legalHolds: Keeping.LegalHolds
  readonly retention: Keeping.Retention
  readonly checkpoints: Checkpoints
  readonly agentKeys: AgentKeys
  readonly routing: Routing
  readonly coverage: Coverage.Coverage
  readonly platform: Platform
}

/** The services behind them. */
export type Services =
  | AgentKeysService
  | AgentScope
  | AuditService
  | Bridge
  | BundlesService
  | CheckpointsService
  | ComplianceService
  | ContractsService
  | CostService
  | CoverageService
  | ErasureService
  | GatesService
  | LegalHoldsService
  | LoopService
  | PoliciesService
  | PresenceService
  | PricingService
  | PromptsService
  | RetentionService
  | RoutingService

/** Defines every module on `target`. One that is switched off throws, naming its flag, as soon as it is touched (ENT-05). */
export const define = (target: object, running: Running<Services>, config: GovernanceConfig): void => {
  const { context } = running
  const add = (name: keyof Modules, service: object, special: object = {}, off?: Module) => {
    const left: ReadonlyArray<string> = name in hidden ? hidden[name as keyof typeof hidden] : []
    const methods = methodsOf(service, left, special, running)
    const get = () => {
      if (off !== undefined) throw new ModuleDisabledError({ module: off })
      return methods
    }
    Object.defineProperty(target, name, { enumerable: true, get })
  }
  const unless = (on: boolean, module: Module) => (on ? undefined : module)
  const at = <I, S extends object>(key: Context.Key<I & Services, S>): S => Context.getUnsafe(context, key)

  const audit = Context.get(context, AuditService)
  add("audit", audit, Audit.special(audit, running))
  const scope = Context.get(context, AgentScope)
  add("scope", scope, Scope.special(scope, running), unless(config.enableScope, "scope"))
  add("cost", at(CostService), {}, unless(config.enableCost, "cost"))
  const gates = Context.get(context, GatesService)
  add("gates", gates, Gates.special(gates, running), unless(config.enableGates, "gates"))
  add("loop", at(LoopService), {}, unless(config.enableLoop, "loop"))
  add("presence", at(PresenceService), {}, unless(config.enablePresence, "presence"))
  const contracts = Context.get(context, ContractsService)
  const bound = unless(config.enableScope && config.enableCost, "contracts")
  add("contracts", contracts, Contracts.special(contracts, running), bound)
  const policies = Context.get(context, PoliciesService)
  add("policies", policies, Policies.special(policies, running))
  const pricing = Context.get(context, PricingService)
  add("pricing", pricing, Pricing.special(pricing, running))
  add("prompts", at(PromptsService), {}, unless(config.enablePrompts, "prompts"))
  add("compliance", at(ComplianceService))
  const bundles = Context.get(context, BundlesService)
  add("bundles", bundles, Compliance.special(bundles, running))
  add("erasure", at(ErasureService))
  add("legalHolds", at(LegalHoldsService))
  const retention = Context.get(context, RetentionService)
  add("retention", retention, Keeping.special(retention, running))
  const checkpoints = Context.get(context, CheckpointsService)
  add("checkpoints", checkpoints, { examine: () => running.promise(checkpoints.examine()) })
  add("agentKeys", at(AgentKeysService))
  add("routing", at(RoutingService), {}, unless(config.enableRouting, "routing"))
  const coverage = Context.get(context, CoverageService)
  add("coverage", coverage, Coverage.special(coverage), unless(config.enableCoverage, "coverage"))
  add("platform", at(Bridge))
}
