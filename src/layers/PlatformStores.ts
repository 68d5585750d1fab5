import { Layer, type Redacted } from "effect"
import * as MemoryCursorKeyStore from "./memory/CursorKeyStore.ts"
import * as MemoryInboxStore from "./memory/InboxStore.ts"
import * as MemoryIngestStore from "./memory/IngestStore.ts"
import * as MemoryRateLimitStore from "./memory/RateLimitStore.ts"
import * as MemorySignInStore from "./memory/SignInStore.ts"
import * as MemoryWitnessStore from "./memory/WitnessStore.ts"
import * as MemoryWorkspaceStore from "./memory/WorkspaceStore.ts"
import * as CursorKeyStore from "./postgres/CursorKeyStore.ts"
import * as Database from "./postgres/Database.ts"
import * as InboxStore from "./postgres/InboxStore.ts"
import * as IngestStore from "./postgres/IngestStore.ts"
import * as Migrations from "./postgres/Migrations.ts"
import { platformMigrationFiles } from "./postgres/platformMigrations.generated.ts"
import * as RateLimitStore from "./postgres/RateLimitStore.ts"
import { SchemaName } from "./postgres/SchemaName.ts"
import * as SignInStore from "./postgres/SignInStore.ts"
import * as WitnessStore from "./postgres/WitnessStore.ts"
import * as WorkspaceStore from "./postgres/WorkspaceStore.ts"

/** All that the platform keeps, on the database that is provided. */
export const layer = Layer.mergeAll(
  CursorKeyStore.layer,
  InboxStore.layer,
  IngestStore.layer,
  RateLimitStore.layer,
  SignInStore.layer,
  WitnessStore.layer,
  WorkspaceStore.layer
)

/** Where the platform's tables are, apart from the library's. */
export const platformSchema = SchemaName.make("governance_platform")

/** The same on a Postgres by its connection string, as the role that serves. The tables come with `migrate`. */
export const layerPostgres = ({ pooler, url }: { readonly url: Redacted.Redacted; readonly pooler?: boolean }) =>
  layer.pipe(Layer.provide(Database.layerFromUrl(url, { schema: platformSchema, pooler })))

/** Brings the tables to this version, over the connection of their owner; `appRole` is the role that serves. */
export const migrate = (options: { readonly appRole?: string } = {}) =>
  Migrations.migrate({ ...options, schema: platformSchema, files: platformMigrationFiles })

/** The same in memory, for tests. */
export const layerMemory = Layer.mergeAll(
  MemoryCursorKeyStore.layer,
  MemoryInboxStore.layer,
  MemoryIngestStore.layer,
  MemoryRateLimitStore.layer,
  MemorySignInStore.layer,
  MemoryWitnessStore.layer
).pipe(Layer.provideMerge(MemoryWorkspaceStore.layer))
