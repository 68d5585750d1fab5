import * as Stores from "../../src/layers/memory/Stores.ts"
import * as PolicyStoreSuite from "../../src/testing/PolicyStoreSuite.ts"

PolicyStoreSuite.suite("memory", Stores.layer)
