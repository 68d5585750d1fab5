import { ConfigProvider, Layer, References } from "effect"
import * as Governance from "../../layers/Governance.ts"
import * as AgentKeyStore from "../../layers/memory/AgentKeyStore.ts"
import * as AuditStore from "../../layers/memory/AuditStore.ts"
import * as CoverageStore from "../../layers/memory/CoverageStore.ts"
import * as Signal from "../../layers/memory/Signal.ts"
import * as Stores from "../../layers/memory/Stores.ts"
import * as StoreTransaction from "../../layers/memory/StoreTransaction.ts"
import * as SubjectKeyStore from "../../layers/memory/SubjectKeyStore.ts"
import * as AuditFallback from "../../services/AuditFallback.ts"
import * as ChainKeys from "../../services/ChainKeys.ts"
import * as Pricing from "../../services/Pricing.ts"
import * as Settings from "../../services/Settings.ts"

/**
 * The real enforcement over fresh memory stores. Nothing of the caller's environment gets in, or the same recording would be
 * judged differently elsewhere; the audit log keeps only its newest rows, since nobody reads them. Nobody can be asked for an
 * approval here, so gates only say that somebody would be.
 */
export const layer = Governance.layer.pipe(
  Layer.provideMerge(Pricing.layerSettings()),
  Layer.provideMerge(
    Layer.mergeAll(
      Stores.layer,
      AgentKeyStore.layer,
      AuditStore.layerWith({ maxEvents: 1000, onFull: "evict" }),
      SubjectKeyStore.layer,
      CoverageStore.layer,
      StoreTransaction.layer,
      Signal.layer,
      AuditFallback.layerMemory
    )
  ),
  Layer.provideMerge(ChainKeys.layerMemory),
  Layer.provideMerge(Settings.layer({ hotReload: false, enableGates: false })),
  Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({}))),
  // That gates are off is meant so here; nobody needs to be warned of it.
  Layer.provide(Layer.succeed(References.MinimumLogLevel, "Error"))
)
