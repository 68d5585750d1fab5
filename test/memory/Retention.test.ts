import * as Memory from "../../src/layers/Memory.ts"
import * as RetentionSuite from "../../src/testing/RetentionSuite.ts"

RetentionSuite.suite("memory", Memory.layer({ warnOnNoWrappers: false }))
