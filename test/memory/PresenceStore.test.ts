import * as Stores from "../../src/layers/memory/Stores.ts"
import * as PresenceStoreSuite from "../../src/testing/PresenceStoreSuite.ts"

PresenceStoreSuite.suite("memory", Stores.layer)
