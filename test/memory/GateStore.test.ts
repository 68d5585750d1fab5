import * as Stores from "../../src/layers/memory/Stores.ts"
import * as GateStoreSuite from "../../src/testing/GateStoreSuite.ts"

GateStoreSuite.suite("memory", Stores.layer)
