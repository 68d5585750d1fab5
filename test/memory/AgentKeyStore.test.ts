import { Layer } from "effect"
import * as AgentKeyStore from "../../src/layers/memory/AgentKeyStore.ts"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import * as AgentKeyStoreSuite from "../../src/testing/AgentKeyStoreSuite.ts"

AgentKeyStoreSuite.suite("memory", Layer.merge(AgentKeyStore.layer, StoreTransaction.layer))
