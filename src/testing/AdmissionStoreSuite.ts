/** The contract of `AdmissionStore`: every backing must pass it (DEC-07, BEY-01, BEY-06, BEY-09, U-*). */
import { describe } from "@effect/vitest"
import type { Layer } from "effect"
import { approvalTests } from "./AdmissionApprovalTests.ts"
import { haltAndLoopTests } from "./AdmissionHaltTests.ts"
import { holdTests } from "./AdmissionHoldTests.ts"
import { leaseTests } from "./AdmissionLeaseTests.ts"
import { settlementTests } from "./AdmissionSettlementTests.ts"
import { delegationTests } from "./DelegationTests.ts"
import { describeStores, type StoreClock, type Stores, testClock } from "./StoreSet.ts"

/** Registers the tests; `stores` MUST build all stores over one state. */
export const suite = <E>(name: string, stores: Layer.Layer<Stores, E>, clock: StoreClock = testClock) => {
  describe(`AdmissionStore (${name})`, () => {
    describeStores("holds", stores, clock, holdTests)
    describeStores("settlement", stores, clock, settlementTests)
    describeStores("leases", stores, clock, (it) => leaseTests(it, clock))
    describeStores("halts and loops", stores, clock, (it) => haltAndLoopTests(it, clock))
    describeStores("approvals", stores, clock, (it) => approvalTests(it, clock))
    describeStores("delegation", stores, clock, delegationTests(clock.clock === "test" ? 60 : 6))
  })
}
