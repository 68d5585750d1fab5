import * as BridgeStateStore from "../../src/layers/memory/BridgeStateStore.ts"
import * as BridgeStateStoreSuite from "../../src/testing/BridgeStateStoreSuite.ts"

BridgeStateStoreSuite.suite("memory", BridgeStateStore.layer)
