import { Layer } from "effect"
import * as AuditStore from "../../src/layers/memory/AuditStore.ts"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import * as SubjectKeyStore from "../../src/layers/memory/SubjectKeyStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as SubjectKeyStoreSuite from "../../src/testing/SubjectKeyStoreSuite.ts"

SubjectKeyStoreSuite.suite(
  "memory",
  Layer.mergeAll(AuditStore.layer, SubjectKeyStore.layer, StoreTransaction.layer).pipe(
    Layer.provide(ChainKeys.layerTest)
  )
)
