import { Context, Effect, Layer } from "effect"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import * as AgentKeys from "../services/AgentKeys.ts"
import * as AgentScope from "../services/AgentScope.ts"
import * as Audit from "../services/Audit.ts"
import { AuditFallback } from "../services/AuditFallback.ts"
import { AuditStore } from "../services/AuditStore.ts"
import * as BudgetMoves from "../services/BudgetMoves.ts"
import * as ContractBook from "../services/ContractBook.ts"
import * as ContractRoom from "../services/ContractRoom.ts"
import * as Contracts from "../services/Contracts.ts"
import * as Cost from "../services/Cost.ts"
import * as Coverage from "../services/Coverage.ts"
import * as Evidence from "../services/Evidence.ts"
import * as GateDecisions from "../services/GateDecisions.ts"
import * as GateRelay from "../services/GateRelay.ts"
import * as GateRequests from "../services/GateRequests.ts"
import * as GateRoom from "../services/GateRoom.ts"
import * as Gates from "../services/Gates.ts"
import * as GatesOff from "../services/GatesOff.ts"
import * as Governor from "../services/Governor.ts"
import * as Halts from "../services/Halts.ts"
import * as HaltWriter from "../services/HaltWriter.ts"
import * as Lineages from "../services/Lineages.ts"
import * as Loop from "../services/Loop.ts"
import * as LoopWindow from "../services/LoopWindow.ts"
import * as OpenCalls from "../services/OpenCalls.ts"
import * as OwnKeys from "../services/OwnKeys.ts"
import * as Policies from "../services/Policies.ts"
import * as Presence from "../services/Presence.ts"
import * as Prompts from "../services/Prompts.ts"
import * as Rooms from "../services/Rooms.ts"
import * as Routing from "../services/Routing.ts"
import { Settings } from "../services/Settings.ts"
import * as SubjectKeys from "../services/SubjectKeys.ts"
import * as Sweep from "../services/Sweep.ts"
import * as Wrappers from "../services/Wrappers.ts"
import * as AuditOff from "./AuditOff.ts"

/** A module, or what stands in for it when the configuration switches it off (ENT-05, ENT-07). */
const unless = <A, E, R, E2, R2>(
  on: (settings: GovernanceConfig) => boolean,
  layer: Layer.Layer<A, E, R>,
  layerOff: Layer.Layer<A, E2, R2>
): Layer.Layer<A, E | E2, R | R2 | Settings> =>
  Layer.unwrap(Effect.map(Settings, (settings): Layer.Layer<A, E | E2, R | R2> => (on(settings) ? layer : layerOff)))

const knowledge = Layer.mergeAll(
  BudgetMoves.layer,
  Policies.layer,
  Lineages.layer,
  LoopWindow.layer,
  GateRelay.layer,
  SubjectKeys.layer,
  unless((settings) => settings.enablePresence, Halts.layer, Halts.layerOff)
)

const modules = Layer.mergeAll(
  unless((settings) => settings.enableScope, AgentScope.layer, AgentScope.layerOff),
  unless((settings) => settings.enableCost, Cost.layer, Cost.layerOff),
  unless((settings) => settings.enableLoop, Loop.layer, Loop.layerOff),
  unless((settings) => settings.enablePresence, Presence.layer, Presence.layerOff),
  unless((settings) => settings.enableCoverage, Coverage.layer, Coverage.layerOff),
  unless((settings) => settings.enablePrompts, Prompts.layer, Prompts.layerOff),
  unless((settings) => settings.enableRouting, Routing.layer, Routing.layerOff)
)

const contracts = unless(
  (settings) => settings.enableScope && settings.enableCost,
  Layer.merge(Contracts.layer, ContractRoom.layer).pipe(Layer.provide(ContractBook.layer)),
  Layer.merge(Contracts.layerOff, ContractRoom.layerOff)
)

const gates = unless(
  (settings) => settings.enableGates,
  Layer.merge(GateRoom.layer, Gates.layer).pipe(
    Layer.provide(GateRequests.layer.pipe(Layer.provideMerge(GateDecisions.layer)))
  ),
  Layer.merge(GateRoom.layerOff, GatesOff.layer)
)

/** The log's stores as they are provided, or a ring in memory in their place (ENT-06). */
const log = unless(
  (settings) => settings.enableAudit,
  Layer.effectContext(
    Effect.map(Effect.context<AuditStore | AuditFallback>(), Context.pick(AuditStore, AuditFallback))
  ),
  AuditOff.layer
)

const pipeline = Governor.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(Rooms.layer, OpenCalls.layer, Sweep.layer)),
  Layer.provideMerge(Evidence.layer)
)

/** The same with halts written elsewhere than everything else (CFG-31). */
export const layerWith = <E, R>(haltWriter: Layer.Layer<HaltWriter.HaltWriter, E, R>) =>
  pipeline.pipe(
    Layer.provideMerge(contracts),
    Layer.provideMerge(gates),
    Layer.provideMerge(modules),
    Layer.provideMerge(haltWriter),
    Layer.provideMerge(OwnKeys.layer),
    Layer.provideMerge(AgentKeys.layer),
    Layer.provideMerge(Layer.merge(Audit.layer, Wrappers.layer)),
    Layer.provideMerge(log),
    Layer.provideMerge(knowledge)
  )

/** Every governance service, over whichever stores are provided. `Memory.layer` and `Postgres.layer` are this with theirs. */
export const layer = layerWith(HaltWriter.layer)
