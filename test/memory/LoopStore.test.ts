import * as Stores from "../../src/layers/memory/Stores.ts"
import * as LoopStoreSuite from "../../src/testing/LoopStoreSuite.ts"

LoopStoreSuite.suite("memory", Stores.layer)
