import { Duration, type Redacted } from "effect"
import type { NanoUsd } from "./Money.ts"
import { minimumRetention } from "./Retention.ts"

/** What was decided at start, read-only (ENT-14). Options win over variables, variables over defaults. */
export interface GovernanceConfig {
  readonly databaseUrl: Redacted.Redacted<string> | null
  /** A privileged connection for the halt write alone (CFG-31, V8-14). */
  readonly haltDatabaseUrl: Redacted.Redacted<string> | null
  readonly auditSecret: Redacted.Redacted<string> | null
  /** Secrets that were rotated out, to verify what they sealed (CFG-06). */
  readonly historicSecrets: ReadonlyArray<Redacted.Redacted<string>>
  readonly workspaceSalt: Redacted.Redacted<string> | null
  /** What approvals are good for (DEC-09); null: the database's own id, which a copy of the database shares. */
  readonly deployment: string | null
  /** The Postgres schema of the `governance_` tables. */
  readonly schema: string
  /** True behind a transaction pooler: no prepared statements, no start-up parameters. */
  readonly pooler: boolean
  readonly testMode: boolean

  /** Where the signing keys of single agents are: `file://PATH`, `env://NAME` or `ephemeral` (IDN-02). */
  readonly agentKeys: Readonly<Record<string, string>>
  /** The same for all other agents: `file://.../{agent}.pem`, `env://`, `ephemeral` or `auto`. Null: only those with a variable sign. */
  readonly signingKeys: string | null
  /** `degrade` writes the row and says that it could not be signed; `require` refuses to start or to call (K-09). */
  readonly signingPolicy: "degrade" | "require"

  readonly enableAudit: boolean
  readonly enableScope: boolean
  readonly enableCost: boolean
  readonly enableLoop: boolean
  readonly enablePresence: boolean
  readonly enableGates: boolean
  readonly enablePrompts: boolean
  readonly enableRouting: boolean
  readonly enableCoverage: boolean
  /** Hosts that count as language models besides the known ones: `host`, `host:port`, `*.host` (BEY-13). */
  readonly coverageHosts: ReadonlyArray<string>

  /** Lets calls run on the last known state while the store is down; logged each time. Default false. */
  readonly costFailOpen: boolean
  readonly costStrictUnknownModels: boolean
  /** Dollars per million tokens of a model without a price; only with `costStrictUnknownModels: false`. */
  readonly costUnknownModelFallbackUsdPerMillion: NanoUsd | null
  readonly defaultMaxTokens: number | null

  /** Whether this process sends the alerts that budget policies ask for; default false (WHK-01, CFG-09). */
  readonly costWebhooksEnabled: boolean

  readonly verifyChainOnRead: boolean
  readonly warnOnNoWrappers: boolean
  /** Null: polled on stores that other processes share. False: never. True: always (HOT-01). */
  readonly hotReload: boolean | null
  readonly hotReloadInterval: Duration.Duration
  readonly haltCacheTtl: Duration.Duration
  /** What an agent may do when its halt state cannot be read for longer than the TTL (DEC-10). */
  readonly haltOnUnknown: "lastKnown" | "deny"
  /** The bound of every enforcement answer, waiting for a connection included. */
  readonly enforcementDeadline: Duration.Duration
  readonly auditDeadline: Duration.Duration
  /** How long a call lives without a sign of its process; renewed while it runs. */
  readonly leaseDuration: Duration.Duration
  /** Rows of the log younger than this are pruned only where a shorter time is allowed explicitly (CMP-15). */
  readonly minimumRetention: Duration.Duration
  /** Where events wait when Postgres does not answer; null means a directory of the operating system's (OQ-14). */
  readonly fallbackDir: string | null
  /** Where the Ed25519 key of checkpoints is: `file://PATH` or `env://NAME`; null: none are made (BEY-04). */
  readonly checkpointKey: Redacted.Redacted<string> | null
  /** A file outside the database that checkpoints are appended to. */
  readonly checkpointFile: string | null
  /** How often at least, 1 s or more. */
  readonly checkpointInterval: Duration.Duration
  /** Where the last checkpoint that was seen is remembered; null means a directory of the user's own. */
  readonly stateDir: string | null
  /** What it is remembered under; null: the address of the database. */
  readonly checkpointPlace: string | null
  /** Audit events per second and agent; null means no limit (V8-12). */
  readonly maxEventsPerSecond: number | null

  /** Where requests of this library's own may go (BRG-13, DEC-11). The list of allowed hosts narrows, all else opens and is code's alone. */
  readonly egress: {
    /** `host` or `host:port`, exact: may be private, and may be on another port than 443. */
    readonly trustedHosts: ReadonlyArray<string>
    /** `host` or `host:port`, exact; null allows every public host. */
    readonly allowedHosts: ReadonlyArray<string> | null
    /** Lets a trusted host be a cloud's metadata service. Default false. */
    readonly allowMetadata: boolean
    /** Certificate authorities besides those that come with Node, in PEM. */
    readonly ca: ReadonlyArray<string>
  }
  /** Who is told of approvals that are asked for and decided (BEY-10). The URL counts as a secret, because many are. */
  readonly approvalWebhooks: ReadonlyArray<{
    readonly url: Redacted.Redacted<string>
    readonly secret: Redacted.Redacted<string>
    /** Null tells of every agent. */
    readonly agents: ReadonlyArray<string> | null
  }>

  readonly platform: {
    readonly bridgeEnabled: boolean
    readonly ingestUrl: string | null
    readonly ingestToken: Redacted.Redacted<string> | null
    /** `host` or `host:port`, exact, from code alone: may be private, may be on another port than 443 (C-02). */
    readonly trustedHosts: ReadonlyArray<string>
    /** From the variable: the bridge sends to these hosts only; null: wherever the ingest URL leads (DEC-11). */
    readonly allowedHosts: ReadonlyArray<string> | null
    /** Copies of events that wait in memory to be sent; the oldest is dropped for the next (BRG-06). */
    readonly queueSize: number
    /** Sends the log itself from a durable cursor in place of copies from memory (BEY-16). */
    readonly outbox: boolean
    /** What this deployment calls the workflow it sends to: two workflows of one database need two names (DEC-21). */
    readonly workflow: string
    /** Shows it every checkpoint, as a witness that refuses a log which went back (BEY-04). */
    readonly witness: boolean
  }
}

export const defaults = {
  databaseUrl: null,
  haltDatabaseUrl: null,
  auditSecret: null,
  historicSecrets: [],
  workspaceSalt: null,
  deployment: null,
  schema: "public",
  pooler: false,
  testMode: false,
  agentKeys: {},
  signingKeys: null,
  signingPolicy: "degrade",
  enableAudit: true,
  enableScope: true,
  enableCost: true,
  enableLoop: true,
  enablePresence: true,
  enableGates: true,
  enablePrompts: true,
  enableRouting: false,
  enableCoverage: false,
  coverageHosts: [],
  costFailOpen: false,
  costStrictUnknownModels: true,
  costUnknownModelFallbackUsdPerMillion: null,
  defaultMaxTokens: null,
  costWebhooksEnabled: false,
  verifyChainOnRead: false,
  warnOnNoWrappers: true,
  hotReload: null,
  hotReloadInterval: Duration.seconds(30),
  haltCacheTtl: Duration.seconds(5),
  haltOnUnknown: "lastKnown",
  enforcementDeadline: Duration.seconds(1),
  auditDeadline: Duration.seconds(1),
  leaseDuration: Duration.minutes(1),
  minimumRetention,
  fallbackDir: null,
  checkpointKey: null,
  checkpointFile: null,
  checkpointInterval: Duration.minutes(1),
  stateDir: null,
  checkpointPlace: null,
  maxEventsPerSecond: null,
  egress: { trustedHosts: [], allowedHosts: null, allowMetadata: false, ca: [] },
  approvalWebhooks: [],
  platform: {
    bridgeEnabled: false,
    ingestUrl: null,
    ingestToken: null,
    trustedHosts: [],
    allowedHosts: null,
    queueSize: 1000,
    outbox: false,
    workflow: "default",
    witness: false
  }
} satisfies GovernanceConfig
