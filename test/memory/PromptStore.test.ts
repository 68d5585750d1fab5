import { Layer } from "effect"
import * as PromptStore from "../../src/layers/memory/PromptStore.ts"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as PromptStoreSuite from "../../src/testing/PromptStoreSuite.ts"

PromptStoreSuite.suite("memory", Layer.mergeAll(PromptStore.layer, StoreTransaction.layer, ChainKeys.layerTest))
