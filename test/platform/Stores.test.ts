import * as IngestStoreSuite from "../../src/testing/IngestStoreSuite.ts"
import * as WorkspaceStoreSuite from "../../src/testing/WorkspaceStoreSuite.ts"
import { memoryStores, postgresStores } from "./Stores.ts"

WorkspaceStoreSuite.suite("memory", memoryStores)
WorkspaceStoreSuite.suite("Postgres", postgresStores)
IngestStoreSuite.suite("memory", memoryStores)
IngestStoreSuite.suite("Postgres", postgresStores)
