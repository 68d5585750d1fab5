import { TestClock } from "effect/testing"
import * as CoverageStore from "../../src/layers/memory/CoverageStore.ts"
import * as CoverageStoreSuite from "../../src/testing/CoverageStoreSuite.ts"

CoverageStoreSuite.suite("memory", CoverageStore.layer, {
  clock: "test",
  age: (days) => TestClock.adjust(`${days} days`)
})
