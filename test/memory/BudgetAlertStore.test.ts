import * as BudgetAlertStore from "../../src/layers/memory/BudgetAlertStore.ts"
import * as BudgetAlertStoreSuite from "../../src/testing/BudgetAlertStoreSuite.ts"

BudgetAlertStoreSuite.suite("memory", BudgetAlertStore.layer)
