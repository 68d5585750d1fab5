import * as Stores from "../../src/layers/memory/Stores.ts"
import * as AdmissionStoreSuite from "../../src/testing/AdmissionStoreSuite.ts"

AdmissionStoreSuite.suite("memory", Stores.layer)
