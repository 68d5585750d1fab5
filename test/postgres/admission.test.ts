import { Layer } from "effect"
import * as AdmissionStoreSuite from "../../src/testing/AdmissionStoreSuite.ts"
import * as CostStoreSuite from "../../src/testing/CostStoreSuite.ts"
import * as GateStoreSuite from "../../src/testing/GateStoreSuite.ts"
import * as LoopStoreSuite from "../../src/testing/LoopStoreSuite.ts"
import * as PolicyStoreSuite from "../../src/testing/PolicyStoreSuite.ts"
import * as PresenceStoreSuite from "../../src/testing/PresenceStoreSuite.ts"
import { databaseClock } from "../../src/testing/StoreSet.ts"
import { freshDatabase } from "../support/database.ts"
import { storesOver } from "./AdmissionRig.ts"

const stores = storesOver().pipe(Layer.provide(freshDatabase))

AdmissionStoreSuite.suite("postgres", stores, databaseClock)
CostStoreSuite.suite("postgres", stores, databaseClock)
GateStoreSuite.suite("postgres", stores, databaseClock)
LoopStoreSuite.suite("postgres", stores, databaseClock)
PolicyStoreSuite.suite("postgres", stores, databaseClock)
PresenceStoreSuite.suite("postgres", stores, databaseClock)
