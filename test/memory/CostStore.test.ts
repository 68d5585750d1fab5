import * as Stores from "../../src/layers/memory/Stores.ts"
import * as CostStoreSuite from "../../src/testing/CostStoreSuite.ts"

CostStoreSuite.suite("memory", Stores.layer)
