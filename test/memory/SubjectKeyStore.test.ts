import { Layer } from "effect"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import * as SubjectKeyStore from "../../src/layers/memory/SubjectKeyStore.ts"
import * as SubjectKeyStoreSuite from "../../src/testing/SubjectKeyStoreSuite.ts"

SubjectKeyStoreSuite.suite("memory", Layer.merge(SubjectKeyStore.layer, StoreTransaction.layer))
