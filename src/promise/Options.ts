import type { Time } from "./Call.ts"

/**
 * What governance is started with. An option wins over its `GOVERNANCE_...` variable, and that over the default;
 * `docs/configuration.md` has them all.
 */
export interface Options extends Secrets, Switches, Times, Enforcement, Recording, Network {}

/** Given as they are; they are kept out of logs and errors. */
export interface Secrets {
  /** `postgresql://user:password@host:5432/database`, of a role that owns nothing. */
  readonly databaseUrl?: string | undefined
  /** A connection for the halt alone. */
  readonly haltDatabaseUrl?: string | undefined
  /** At least 32 random bytes; seals the log. */
  readonly auditSecret?: string | undefined
  readonly workspaceSalt?: string | undefined
  /** `file://PATH` or `env://NAME` of an Ed25519 key; without one there are no checkpoints. */
  readonly checkpointKey?: string | undefined
  /** Audit secrets that were rotated out. */
  readonly historicSecrets?: ReadonlyArray<string> | undefined
  /** Reserved; it connects to nothing. */
  readonly apiKey?: string | undefined
}

/** Modules. All but `enableRouting` and `enableCoverage` are on; using one that is off throws `ModuleDisabledError`. */
export interface Switches {
  /** False keeps the log in memory only. Never in production. */
  readonly enableAudit?: boolean | undefined
  readonly enableScope?: boolean | undefined
  readonly enableCost?: boolean | undefined
  readonly enableLoop?: boolean | undefined
  /** False switches the halt off everywhere. */
  readonly enablePresence?: boolean | undefined
  readonly enableGates?: boolean | undefined
  readonly enablePrompts?: boolean | undefined
  readonly enableRouting?: boolean | undefined
  readonly enableCoverage?: boolean | undefined
}

export interface Times {
  readonly hotReloadInterval?: Time | undefined
  readonly haltCacheTtl?: Time | undefined
  /** The bound of every enforcement answer; 1 second. */
  readonly enforcementDeadline?: Time | undefined
  readonly auditDeadline?: Time | undefined
  readonly leaseDuration?: Time | undefined
  readonly checkpointInterval?: Time | undefined
  readonly minimumRetention?: Time | undefined
}

export interface Enforcement {
  /** Lets calls run on the last known state while the database is down. Default false. */
  readonly costFailOpen?: boolean | undefined
  readonly costStrictUnknownModels?: boolean | undefined
  /** Dollars for a million tokens of a model without a price. */
  readonly costUnknownModelFallbackUsdPerMillion?: number | string | undefined
  readonly defaultMaxTokens?: number | null | undefined
  readonly haltOnUnknown?: "lastKnown" | "deny" | undefined
  readonly hotReload?: boolean | null | undefined
  readonly warnOnNoWrappers?: boolean | undefined
  /** What approvals are good for; null: the database's own id. */
  readonly deployment?: string | null | undefined
  /** Whether this process sends the alerts that budget policies ask for. Default false. */
  readonly costWebhooksEnabled?: boolean | undefined
}

export interface Recording {
  readonly agentKeys?: { readonly [agentId: string]: string } | undefined
  readonly signingKeys?: string | null | undefined
  readonly signingPolicy?: "degrade" | "require" | undefined
  readonly verifyChainOnRead?: boolean | undefined
  /** Audit events per second and agent. */
  readonly maxEventsPerSecond?: number | null | undefined
  /** Where events wait while the database is away. */
  readonly fallbackDir?: string | null | undefined
  readonly checkpointFile?: string | null | undefined
  readonly checkpointPlace?: string | null | undefined
  readonly stateDir?: string | null | undefined
  /** Hosts that count as language models besides the known ones: `host`, `host:port`, `*.host`. */
  readonly coverageHosts?: ReadonlyArray<string> | undefined
}

export interface Network {
  /** The Postgres schema of the tables. */
  readonly schema?: string | undefined
  /** True behind a transaction pooler. */
  readonly pooler?: boolean | undefined
  readonly testMode?: boolean | undefined
  readonly egress?:
    | {
        readonly trustedHosts?: ReadonlyArray<string>
        readonly allowedHosts?: ReadonlyArray<string> | null
        readonly allowMetadata?: boolean
        readonly ca?: ReadonlyArray<string>
      }
    | undefined
  /** Who is told of approvals that are asked for and decided. */
  readonly approvalWebhooks?:
    | ReadonlyArray<{ readonly url: string; readonly secret: string; readonly agents?: ReadonlyArray<string> }>
    | undefined
  readonly platform?:
    | {
        readonly bridgeEnabled?: boolean | undefined
        readonly ingestUrl?: string | undefined
        readonly ingestToken?: string | undefined
        /** `host:port` that may be private or without TLS: code alone opens these. */
        readonly trustedHosts?: ReadonlyArray<string> | undefined
        /** Copies that wait at most; the oldest goes first. Default 1000. */
        readonly queueSize?: number | undefined
        /** True sends from the log itself, at least once, over restarts too. */
        readonly outbox?: boolean | undefined
        readonly workflow?: string | undefined
        /** True shows it every checkpoint: it refuses a log that went back. */
        readonly witness?: boolean | undefined
      }
    | undefined
}

/** What was decided at start, frozen (ENT-14): times in milliseconds, secrets as `<redacted>`, what is not set null. */
export type Configuration = {
  readonly [K in Exclude<keyof Options, "apiKey">]-?: K extends keyof Times
    ? number
    : K extends "historicSecrets"
      ? ReadonlyArray<string>
      : K extends keyof Secrets
        ? string | null
        : Exclude<Options[K], undefined>
}
