import { Layer } from "effect"
import * as ChainKeyStore from "../../src/layers/memory/ChainKeyStore.ts"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import * as ChainKeyStoreSuite from "../../src/testing/ChainKeyStoreSuite.ts"

ChainKeyStoreSuite.suite("memory", Layer.merge(ChainKeyStore.layer, StoreTransaction.layer))
