import { Effect, Layer } from "effect"
import * as AuditFallback from "../services/AuditFallback.ts"
import * as ChainKeys from "../services/ChainKeys.ts"
import * as KeyFollower from "../services/KeyFollower.ts"
import * as Pricing from "../services/Pricing.ts"
import * as Settings from "../services/Settings.ts"
import * as Attendants from "./Attendants.ts"
import * as CheckpointPlace from "./CheckpointPlace.ts"
import * as EgressDoor from "./EgressDoor.ts"
import * as Governance from "./Governance.ts"
import * as Identity from "./Identity.ts"
import * as AgentKeyStore from "./memory/AgentKeyStore.ts"
import * as AuditStore from "./memory/AuditStore.ts"
import * as BridgeStateStore from "./memory/BridgeStateStore.ts"
import * as BudgetAlertStore from "./memory/BudgetAlertStore.ts"
import * as ChainKeyStore from "./memory/ChainKeyStore.ts"
import * as CheckpointStore from "./memory/CheckpointStore.ts"
import * as CoverageStore from "./memory/CoverageStore.ts"
import * as ReaderStore from "./memory/ReaderStore.ts"
import * as RetentionStore from "./memory/RetentionStore.ts"
import * as Signal from "./memory/Signal.ts"
import * as Stores from "./memory/Stores.ts"
import * as StoreTransaction from "./memory/StoreTransaction.ts"
import * as SubjectKeyStore from "./memory/SubjectKeyStore.ts"

/** A secret that dies with the log it seals is good enough here (DEC-18); a given one is checked as anywhere. */
const keys = Layer.unwrap(
  Effect.map(Settings.Settings, (settings) =>
    settings.auditSecret === null
      ? ChainKeys.layerMemory
      : ChainKeys.layer({ secret: settings.auditSecret, historic: settings.historicSecrets, ephemeralAllowed: true })
  )
)

/** Every store in this process's memory. */
export const layerStores = Layer.mergeAll(
  Stores.layer,
  AgentKeyStore.layer,
  BridgeStateStore.layer,
  BudgetAlertStore.layer,
  SubjectKeyStore.layer,
  ReaderStore.layer,
  CoverageStore.layer,
  CheckpointPlace.layerMemory.pipe(Layer.provideMerge(CheckpointStore.layer), Layer.provideMerge(AuditStore.layer)),
  StoreTransaction.layer,
  Signal.layer,
  ChainKeyStore.layer,
  AuditFallback.layerMemory
).pipe(
  (stores) => Layer.provideMerge(RetentionStore.layer, stores),
  Layer.provideMerge(keys),
  Layer.provideMerge(Identity.layer)
)

/** All of governance without a database: for tests, for replay, and for programs that need no proof after a restart. */
export const layer = (options: Settings.GovernanceOptions = {}) =>
  Attendants.layer.pipe(
    Layer.provideMerge(Governance.layer),
    Layer.provideMerge(Pricing.layerSettings()),
    Layer.provideMerge(Layer.merge(KeyFollower.layer, EgressDoor.layer)),
    Layer.provideMerge(layerStores),
    Layer.provideMerge(Settings.layer(options))
  )
