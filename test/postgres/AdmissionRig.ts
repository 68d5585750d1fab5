import { Effect, Layer } from "effect"
import * as AdmissionStore from "../../src/layers/postgres/AdmissionStore.ts"
import * as CostStore from "../../src/layers/postgres/CostStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as GateStore from "../../src/layers/postgres/GateStore.ts"
import * as LoopStore from "../../src/layers/postgres/LoopStore.ts"
import * as PolicyStore from "../../src/layers/postgres/PolicyStore.ts"
import * as PresenceStore from "../../src/layers/postgres/PresenceStore.ts"
import * as StoreTransaction from "../../src/layers/postgres/StoreTransaction.ts"
import { TestDatabase } from "../support/database.ts"

/** The stores over a test's database as the runtime role, with pools of their own: another one of these is another process. */
export const storesOver = (deadlineMs = 10_000) =>
  Layer.mergeAll(
    AdmissionStore.layerWith({ deadlineMs }),
    CostStore.layer,
    GateStore.layer,
    LoopStore.layer,
    PolicyStore.layer,
    PresenceStore.layer,
    StoreTransaction.layer
  ).pipe(Layer.provideMerge(Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))))
