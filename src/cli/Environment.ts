import type { PgClient } from "@effect/sql-pg"
import { Context, Effect, type FileSystem, type Layer, type Stdio } from "effect"
import type { SqlClient } from "effect/sql"
import type { EmbeddedPostgresError } from "../layers/Embedded.ts"
import type { MigrationError } from "../layers/postgres/Migrations.ts"
import type { OtherChainKey } from "../schema/ChainKeyVersion.ts"
import type { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { Finding } from "../schema/Finding.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { AgentKeyStore } from "../services/AgentKeyStore.ts"
import type { AgentKeys } from "../services/AgentKeys.ts"
import type { Audit } from "../services/Audit.ts"
import type { AuditStore } from "../services/AuditStore.ts"
import type { BridgeStateStore } from "../services/BridgeStateStore.ts"
import type { Bundles } from "../services/Bundles.ts"
import type { Checkpoints } from "../services/Checkpoints.ts"
import type { Compliance } from "../services/Compliance.ts"
import type { CostStore } from "../services/CostStore.ts"
import type { CoverageStore } from "../services/CoverageStore.ts"
import type { Erasure } from "../services/Erasure.ts"
import type { GateDecisions } from "../services/GateDecisions.ts"
import type { KeyRotation } from "../services/KeyRotation.ts"
import type { LegalHolds } from "../services/LegalHolds.ts"
import type { OperatorPolicies } from "../services/OperatorPolicies.ts"
import type { PolicyStore } from "../services/PolicyStore.ts"
import type { Presence } from "../services/Presence.ts"
import type { PresenceStore } from "../services/PresenceStore.ts"
import type { Prompts } from "../services/Prompts.ts"
import type { ReaderStore } from "../services/ReaderStore.ts"
import type { Retention } from "../services/Retention.ts"
import type { UsageError } from "./CliFailure.ts"
import { governance, type SharedFlags } from "./Root.ts"
import type { RotationPlace } from "./RotationPlace.ts"
import { saidBy } from "./Said.ts"

/** What a command can work with, made from the flags it was given. The live one is `LiveEnvironment`; tests give memory stores. */
export class Environment extends Context.Service<
  Environment,
  {
    /** The stores: for commands that only read, which need no secret. */
    readonly stores: (flags: SharedFlags) => Layer.Layer<Stores, EnvironmentError, Platform>
    /** The services that write evidence. Fails without an audit secret, since their rows could not be proved later (DEC-18). */
    readonly services: (flags: SharedFlags) => Layer.Layer<Services, EnvironmentError, Platform>
    /**
     * The log for verifying, following and reporting, and prompts for reading: without a secret too, and then it says that
     * authorship was not checked.
     */
    readonly reader: (flags: SharedFlags) => Layer.Layer<Reading, EnvironmentError, Platform>
    /** A connection with the rights of the owner, for migrations, and the runtime role that they are to serve. */
    readonly owner: (
      flags: SharedFlags
    ) => Layer.Layer<SqlClient.SqlClient | PgClient.PgClient | RuntimeRole, EnvironmentError, Platform>
    /** What replaces the secret of the log. */
    readonly rotation: (flags: SharedFlags) => Layer.Layer<KeyRotation | RotationPlace, EnvironmentError, Platform>
    /** Retention, holds, erasure and adoption with the rights of the owner: nobody else may delete. Fails without an audit secret. */
    readonly keeping: (flags: SharedFlags) => Layer.Layer<Keeping, EnvironmentError, Platform>
    /** Everything that can be looked at, from the configuration to the disk. Fails when the database does not answer. */
    readonly examine: (flags: SharedFlags) => Effect.Effect<Examination, never, Platform>
  }
>()("effect-governance/cli/Environment") {}

export type Reading = Audit | AuditStore | BridgeStateStore | Checkpoints | Compliance | Prompts | ReaderStore
export type Stores = AgentKeyStore | CostStore | CoverageStore | PolicyStore | PresenceStore
export type Services =
  | Stores
  | AgentKeys
  | Audit
  | AuditStore
  | Bundles
  | Checkpoints
  | Compliance
  | GateDecisions
  | Presence
  | Prompts
  | OperatorPolicies
export type Keeping = Checkpoints | Erasure | LegalHolds | Retention
export type EnvironmentError =
  | ConfigurationError
  | OtherChainKey
  | EmbeddedPostgresError
  | MigrationError
  | StoreError
  | UsageError

/** Files and standard input: where a connection string may come from. */
export type Platform = FileSystem.FileSystem | Stdio.Stdio

/** The role that programs connect as, when the environment knows one. */
export class RuntimeRole extends Context.Service<RuntimeRole, { readonly name: string | undefined }>()(
  "effect-governance/cli/RuntimeRole"
) {}

/** What was found, and what kept us from finding more. */
export interface Examination {
  readonly findings: ReadonlyArray<Finding>
  readonly stoppedBy: EnvironmentError | null
}

/** Runs a handler in a room of the environment that the flags of its command line describe. */
const inRoom =
  <Provided>(
    layerOf: (
      environment: Environment["Service"],
      flags: SharedFlags
    ) => Layer.Layer<Provided, EnvironmentError, Platform>
  ) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const flags = yield* governance
      const environment = yield* Environment
      return yield* Effect.tapError(Effect.provide(self, layerOf(environment, flags), { local: true }), explain)
    })

/** What the driver said, for whoever asks for it with `--log-level debug`: it may name hosts, tables and statements (ERR-16). */
const explain = (error: unknown) => Effect.logDebug(`failed: ${saidBy(error) ?? "nothing more is known"}`)

export const withStores = inRoom((environment, flags) => environment.stores(flags))
export const withServices = inRoom((environment, flags) => environment.services(flags))
export const withReader = inRoom((environment, flags) => environment.reader(flags))
export const withRotation = inRoom((environment, flags) => environment.rotation(flags))
export const withOwner = inRoom((environment, flags) => environment.owner(flags))
export const withKeeping = inRoom((environment, flags) => environment.keeping(flags))
