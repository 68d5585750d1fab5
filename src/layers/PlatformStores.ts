import { Layer } from "effect"
import * as MemoryCursorKeyStore from "./memory/CursorKeyStore.ts"
import * as MemoryInboxStore from "./memory/InboxStore.ts"
import * as MemoryIngestStore from "./memory/IngestStore.ts"
import * as MemoryRateLimitStore from "./memory/RateLimitStore.ts"
import * as MemorySignInStore from "./memory/SignInStore.ts"
import * as MemoryWitnessStore from "./memory/WitnessStore.ts"
import * as MemoryWorkspaceStore from "./memory/WorkspaceStore.ts"
import * as CursorKeyStore from "./postgres/CursorKeyStore.ts"
import * as InboxStore from "./postgres/InboxStore.ts"
import * as IngestStore from "./postgres/IngestStore.ts"
import * as RateLimitStore from "./postgres/RateLimitStore.ts"
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

/** The same in memory, for tests. */
export const layerMemory = Layer.mergeAll(
  MemoryCursorKeyStore.layer,
  MemoryInboxStore.layer,
  MemoryIngestStore.layer,
  MemoryRateLimitStore.layer,
  MemorySignInStore.layer,
  MemoryWitnessStore.layer
).pipe(Layer.provideMerge(MemoryWorkspaceStore.layer))
