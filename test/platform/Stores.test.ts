import * as CursorKeyStoreSuite from "../../src/testing/CursorKeyStoreSuite.ts"
import * as InboxStoreSuite from "../../src/testing/InboxStoreSuite.ts"
import * as IngestStoreSuite from "../../src/testing/IngestStoreSuite.ts"
import * as RateLimitStoreSuite from "../../src/testing/RateLimitStoreSuite.ts"
import * as SignInStoreSuite from "../../src/testing/SignInStoreSuite.ts"
import * as WitnessStoreSuite from "../../src/testing/WitnessStoreSuite.ts"
import * as WorkspaceStoreSuite from "../../src/testing/WorkspaceStoreSuite.ts"
import { memoryStores, postgresStores } from "./Stores.ts"

WorkspaceStoreSuite.suite("memory", memoryStores)
WorkspaceStoreSuite.suite("Postgres", postgresStores)
IngestStoreSuite.suite("memory", memoryStores)
IngestStoreSuite.suite("Postgres", postgresStores)
InboxStoreSuite.suite("memory", memoryStores)
InboxStoreSuite.suite("Postgres", postgresStores)
SignInStoreSuite.suite("memory", memoryStores)
SignInStoreSuite.suite("Postgres", postgresStores)
RateLimitStoreSuite.suite("memory", memoryStores)
RateLimitStoreSuite.suite("Postgres", postgresStores)
WitnessStoreSuite.suite("memory", memoryStores)
WitnessStoreSuite.suite("Postgres", postgresStores)
CursorKeyStoreSuite.suite("memory", memoryStores, memoryStores)
CursorKeyStoreSuite.suite("Postgres", postgresStores, memoryStores)
