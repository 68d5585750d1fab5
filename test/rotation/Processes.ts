import { randomBytes, randomUUID } from "node:crypto"
import { Context, Effect, Layer, Redacted } from "effect"
import * as Postgres from "../../src/layers/Postgres.ts"
import type { AuditDraft } from "../../src/schema/Envelope.ts"
import { EventId, operatorChain } from "../../src/schema/Ids.ts"
import { machinery } from "../../src/schema/OperatorDraft.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { ChainKeyStore } from "../../src/services/ChainKeyStore.ts"
import { ChainKeys } from "../../src/services/ChainKeys.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { KeyFollower } from "../../src/services/KeyFollower.ts"
import { KeyRotation, type Rotation } from "../../src/services/KeyRotation.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { StoreTransaction } from "../../src/services/StoreTransaction.ts"
import { TestDatabase } from "../support/database.ts"

export const newSecret = () => randomBytes(32).toString("hex")

/** All of governance as one process of a deployment has it: nothing is shared with another but the database. */
export const processWith = Effect.fnUntraced(function* (auditSecret: string, options: GovernanceOptions = {}) {
  const { appUrl } = yield* TestDatabase
  const layer = Postgres.layer({ databaseUrl: appUrl, auditSecret, testMode: true, ...options })
  const services = yield* Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), yield* Effect.scope)
  return servicesOf(services)
})

/** The same over the owner's connection: the runtime role may not rotate. */
export const operatorWith = (auditSecret: string, options: GovernanceOptions = {}) =>
  Effect.flatMap(TestDatabase, ({ ownerUrl }) => processWith(auditSecret, { databaseUrl: ownerUrl, ...options }))

type Services =
  | Audit
  | AuditStore
  | ChainKeyStore
  | ChainKeys
  | Checkpoints
  | KeyFollower
  | KeyRotation
  | StoreTransaction

export const servicesOf = (services: Context.Context<Services>) => ({
  audit: Context.get(services, Audit),
  log: Context.get(services, AuditStore),
  registry: Context.get(services, ChainKeyStore),
  keys: Context.get(services, ChainKeys),
  checkpoints: Context.get(services, Checkpoints),
  follower: Context.get(services, KeyFollower),
  rotation: Context.get(services, KeyRotation),
  transaction: Context.get(services, StoreTransaction)
})
export type Process = ReturnType<typeof servicesOf>

export const to = (secret: string, more: Partial<Rotation> = {}): Rotation => ({
  secret: Redacted.make(secret),
  handOver: true,
  by: "alice",
  reason: null,
  ...more
})

/** One event under whatever key this process seals with; gives the id of that key. */
export const sealOne = ({ audit }: Process, session = "s1") =>
  Effect.map(audit.require({ kind: "step", agentId: "clerk", sessionId: session }), ({ keyId }) => keyId)

/** An event of the machinery, as others write them into the chain of the markers. */
export const operatorDraft = (): AuditDraft => ({
  chain: operatorChain,
  id: EventId.make(randomUUID()),
  atMs: 0,
  agent: machinery,
  session: null,
  parent: null,
  kind: "audit.clock_skew",
  model: null,
  inputHash: null,
  outputHash: null,
  metadataText: "{}"
})
