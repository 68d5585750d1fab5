import { Effect, Layer } from "effect"
import * as CheckpointPlace from "../layers/CheckpointPlace.ts"
import * as Keeping from "../layers/Keeping.ts"
import { layerHaltWriter } from "../layers/Postgres.ts"
import * as AgentKeyStore from "../layers/postgres/AgentKeyStore.ts"
import * as AuditStore from "../layers/postgres/AuditStore.ts"
import * as BridgeStateStore from "../layers/postgres/BridgeStateStore.ts"
import * as ChainKeyStore from "../layers/postgres/ChainKeyStore.ts"
import * as CheckpointStore from "../layers/postgres/CheckpointStore.ts"
import * as CostStore from "../layers/postgres/CostStore.ts"
import * as CoverageStore from "../layers/postgres/CoverageStore.ts"
import * as GateStore from "../layers/postgres/GateStore.ts"
import * as PolicyStore from "../layers/postgres/PolicyStore.ts"
import * as PresenceStore from "../layers/postgres/PresenceStore.ts"
import * as PromptStore from "../layers/postgres/PromptStore.ts"
import * as ReaderStore from "../layers/postgres/ReaderStore.ts"
import * as RetentionStore from "../layers/postgres/RetentionStore.ts"
import * as Signal from "../layers/postgres/Signal.ts"
import { toStoreError } from "../layers/postgres/SqlFailure.ts"
import * as StoreTransaction from "../layers/postgres/StoreTransaction.ts"
import * as SubjectKeyStore from "../layers/postgres/SubjectKeyStore.ts"
import * as AgentKeys from "../services/AgentKeys.ts"
import * as Audit from "../services/Audit.ts"
import * as AuditFallback from "../services/AuditFallback.ts"
import * as BundleKeySource from "../services/BundleKeySource.ts"
import * as Bundles from "../services/Bundles.ts"
import * as CheckpointAfterRotation from "../services/CheckpointAfterRotation.ts"
import * as CheckpointKey from "../services/CheckpointKey.ts"
import * as CheckpointProofs from "../services/CheckpointProofs.ts"
import * as Checkpoints from "../services/Checkpoints.ts"
import * as Compliance from "../services/Compliance.ts"
import * as GateDecisions from "../services/GateDecisions.ts"
import * as Halts from "../services/Halts.ts"
import * as KeyFollower from "../services/KeyFollower.ts"
import * as Lineages from "../services/Lineages.ts"
import * as OperatorPolicies from "../services/OperatorPolicies.ts"
import * as Presence from "../services/Presence.ts"
import * as Prompts from "../services/Prompts.ts"
import * as Settings from "../services/Settings.ts"
import * as SubjectKeys from "../services/SubjectKeys.ts"
import { readingKeys, settings, writingKeys } from "./ChainKeyLayers.ts"
import { Environment, RuntimeRole } from "./Environment.ts"
import { examine } from "./Examine.ts"
import * as Place from "./Place.ts"
import * as RotationPlace from "./RotationPlace.ts"

/** A command on a real database. A lean wiring of the same services: no sweep, no policies in memory, no prices. */
export const layer = Layer.succeed(
  Environment,
  Environment.of({
    stores: (flags) => stores.pipe(Layer.provide(database), Layer.provide(Place.layer(flags))),
    reader: (flags) => reader.pipe(Layer.provide(database), Layer.provide(settings), Layer.provide(Place.layer(flags))),
    services: (flags) =>
      services.pipe(Layer.provide(database), Layer.provide(settings), Layer.provide(Place.layer(flags))),
    owner: (flags) =>
      Layer.unwrap(
        Effect.map(Place.Place, (place) =>
          Layer.merge(Place.ownerClient(place), Layer.succeed(RuntimeRole, RuntimeRole.of({ name: place.appRole })))
        )
      ).pipe(Layer.provide(Place.layerBare(flags))),
    rotation: (flags) =>
      rotation.pipe(Layer.provide(ownerDatabase), Layer.provide(settings), Layer.provide(Place.layer(flags))),
    keeping: (flags) =>
      keeping.pipe(Layer.provide(ownerDatabase), Layer.provide(settings), Layer.provide(Place.layer(flags))),
    examine
  })
)

const database = Layer.unwrap(Effect.map(Place.Place, Place.database))

/** Programs may neither rotate nor prune, so neither may whoever gets hold of their connection. */
const ownerDatabase = Layer.unwrap(
  Effect.map(Place.Place, (place) => Place.database({ ...place, appUrl: place.ownerUrl }))
)

const stores = Layer.mergeAll(
  AgentKeyStore.layer,
  CostStore.layer,
  CoverageStore.layer,
  PolicyStore.layer,
  PresenceStore.layer
)

const log = Layer.merge(AuditStore.layer, ChainKeyStore.layer)

// What comes from a command line is text: nothing in it can be marked.
const audit = Audit.layer.pipe(Layer.provide([AuditFallback.layerMemory, SubjectKeys.layerOff]))

const prompts = Prompts.layer.pipe(Layer.provide([PromptStore.layer, StoreTransaction.layer]))

const checkpoints = Checkpoints.layerOnDemand.pipe(
  Layer.provide(CheckpointPlace.layerQuiet),
  Layer.provideMerge(CheckpointStore.layer)
)

/** Reports read what was signed; bundles are signed too. */
const reports = Compliance.layer.pipe(
  Layer.provide(CheckpointProofs.layer),
  Layer.provide(
    Layer.mergeAll(CheckpointStore.layer, CheckpointKey.layerNone, CoverageStore.layer, SubjectKeyStore.layer)
  )
)
const checkpointKey = Layer.unwrap(
  Effect.map(
    Effect.flatMap(Settings.Settings, (given) => CheckpointPlace.signingKey(given.checkpointKey)),
    CheckpointKey.layerOf
  )
)
const bundles = Bundles.layer.pipe(
  Layer.provideMerge(Compliance.layer),
  Layer.provide(Layer.merge(CheckpointProofs.layer, BundleKeySource.layer)),
  Layer.provide(
    Layer.mergeAll(
      CheckpointStore.layer,
      checkpointKey,
      AgentKeyStore.layer,
      CoverageStore.layer,
      SubjectKeyStore.layer
    )
  )
)

const reader = Layer.mergeAll(prompts, checkpoints, reports, BridgeStateStore.layer, ReaderStore.layer).pipe(
  Layer.provideMerge(audit),
  Layer.provide(AgentKeyStore.layer),
  Layer.provideMerge(KeyFollower.layerReading),
  Layer.provideMerge(log),
  Layer.provide(readingKeys)
)

const haltWriter = Layer.catchTag(layerHaltWriter, "SqlError", (error) =>
  Layer.effectContext(Effect.fail(toStoreError("Database", "connect")(error)))
)

const acts = Layer.mergeAll(AgentKeys.layer, GateDecisions.layer, OperatorPolicies.layer, Presence.layer)

const services = Layer.mergeAll(acts, prompts, checkpoints, bundles).pipe(
  Layer.provide(Layer.mergeAll(Halts.layer, Lineages.layer, haltWriter, GateStore.layer)),
  Layer.provideMerge(audit),
  Layer.provide(KeyFollower.layerOnce),
  Layer.provideMerge(log),
  Layer.provideMerge(stores),
  Layer.provide(Layer.mergeAll(StoreTransaction.layer, Signal.layer)),
  Layer.provide(writingKeys)
)

const rotation = Layer.merge(CheckpointAfterRotation.layer, RotationPlace.layer).pipe(
  Layer.provide(checkpoints),
  Layer.provide(KeyFollower.layerOnce),
  Layer.provideMerge(log),
  Layer.provide(Layer.mergeAll(StoreTransaction.layer, Signal.layer)),
  Layer.provide(writingKeys)
)

const keeping = Keeping.layer.pipe(
  Layer.provideMerge(checkpoints),
  Layer.provide(audit),
  Layer.provide(Layer.mergeAll(RetentionStore.layer, SubjectKeyStore.layer, StoreTransaction.layer, Signal.layer)),
  Layer.provide(KeyFollower.layerOnce),
  Layer.provide(log),
  Layer.provide(writingKeys)
)
