import * as ReaderStore from "../../src/layers/memory/ReaderStore.ts"
import * as ReaderStoreSuite from "../../src/testing/ReaderStoreSuite.ts"

ReaderStoreSuite.suite("memory", ReaderStore.layer)
