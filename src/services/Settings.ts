import { Context, Duration, Effect, Layer, Option, Redacted, Result } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { defaults, type GovernanceConfig } from "../schema/GovernanceConfig.ts"
import { isHostPattern } from "../schema/LlmHosts.ts"
import { parseUsd } from "../schema/Money.ts"
import * as EgressSettings from "./EgressSettings.ts"
import { variables } from "./SettingsVariables.ts"

/** Options as a program writes them; each wins over its environment variable (ENT-01, ENT-02, CFG). */
export type GovernanceOptions = {
  readonly [K in Exclude<keyof GovernanceConfig, Special>]?: GovernanceConfig[K] | undefined
} & {
  readonly [K in SecretKey]?: string | Redacted.Redacted<string> | undefined
} & {
  readonly [K in DurationKey]?: Duration.Input | undefined
} & {
  readonly historicSecrets?: ReadonlyArray<string | Redacted.Redacted<string>> | undefined
  readonly costUnknownModelFallbackUsdPerMillion?: number | string | undefined
  readonly platform?:
    | {
        readonly bridgeEnabled?: boolean | undefined
        readonly ingestUrl?: string | undefined
        readonly ingestToken?: string | Redacted.Redacted<string> | undefined
        readonly trustedHosts?: ReadonlyArray<string> | undefined
        readonly queueSize?: number | undefined
        readonly outbox?: boolean | undefined
        readonly workflow?: string | undefined
        readonly witness?: boolean | undefined
      }
    | undefined
  /** Reserved for a managed service; it connects to nothing (OQ-01). */
  readonly apiKey?: string | undefined
} & EgressSettings.EgressOptions

/** The configuration that every service reads. */
export class Settings extends Context.Service<Settings, GovernanceConfig>()("effect-governance/services/Settings") {}

export const make = Effect.fnUntraced(function* (options: GovernanceOptions = {}) {
  const env = yield* variables
  const given = <A>(option: A | undefined, variable: Option.Option<A>, initial: A): A =>
    option ?? Option.getOrElse(variable, () => initial)

  const testMode = given(options.testMode, env.testMode, defaults.testMode)
  const config: GovernanceConfig = {
    ...defaults,
    ...definedOf(options),
    ...(yield* EgressSettings.make(options, env)),
    databaseUrl: given(secret(options.databaseUrl), env.databaseUrl, null),
    haltDatabaseUrl: given(secret(options.haltDatabaseUrl), env.haltDatabaseUrl, null),
    auditSecret: given(secret(options.auditSecret), env.auditSecret, null),
    workspaceSalt: given(secret(options.workspaceSalt), env.workspaceSalt, null),
    deployment: given<string | null>(options.deployment, env.deployment, null),
    checkpointKey: given(secret(options.checkpointKey), env.checkpointKey, null),
    checkpointFile: given<string | null>(options.checkpointFile, env.checkpointFile, null),
    checkpointInterval: duration(options.checkpointInterval, defaults.checkpointInterval),
    stateDir: given<string | null>(options.stateDir, env.stateDir, null),
    historicSecrets: [...(options.historicSecrets ?? []).map((value) => secret(value)!), ...env.chainKeys],
    testMode,
    signingKeys: keyStoreOf(given(options.signingKeys, env.signingKeys, null), testMode),
    signingPolicy: given<GovernanceConfig["signingPolicy"]>(
      options.signingPolicy,
      env.signingPolicy,
      defaults.signingPolicy
    ),
    costStrictUnknownModels: given(options.costStrictUnknownModels, env.strictUnknownModels, true),
    costUnknownModelFallbackUsdPerMillion: yield* fallbackRate(
      options.costUnknownModelFallbackUsdPerMillion,
      env.fallbackRate
    ),
    costWebhooksEnabled: given(options.costWebhooksEnabled, env.costWebhooksEnabled, defaults.costWebhooksEnabled),
    hotReloadInterval: duration(options.hotReloadInterval, defaults.hotReloadInterval),
    haltCacheTtl: duration(options.haltCacheTtl, defaults.haltCacheTtl),
    enforcementDeadline: duration(options.enforcementDeadline, defaults.enforcementDeadline),
    auditDeadline: duration(options.auditDeadline, defaults.auditDeadline),
    leaseDuration: duration(options.leaseDuration, defaults.leaseDuration),
    minimumRetention: duration(options.minimumRetention, defaults.minimumRetention),
    platform: {
      bridgeEnabled: given(options.platform?.bridgeEnabled, env.bridgeEnabled, false),
      ingestUrl: given<string | null>(options.platform?.ingestUrl, env.ingestUrl, null),
      ingestToken: given(secret(options.platform?.ingestToken), env.ingestToken, null),
      // A variable may only narrow where the bridge sends; what opens a private host is said in code (DEC-11).
      trustedHosts: options.platform?.trustedHosts ?? [],
      allowedHosts: Option.getOrNull(env.trustedHosts),
      queueSize: options.platform?.queueSize ?? defaults.platform.queueSize,
      outbox: given(options.platform?.outbox, env.bridgeOutbox, defaults.platform.outbox),
      workflow: given<string>(options.platform?.workflow, env.bridgeWorkflow, defaults.platform.workflow),
      witness: given(options.platform?.witness, env.witness, defaults.platform.witness)
    }
  }
  yield* check(config, options)
  return config
})

export const layer = (options: GovernanceOptions = {}) => Layer.effect(Settings, make(options))

const secretKeys = ["databaseUrl", "haltDatabaseUrl", "auditSecret", "workspaceSalt", "checkpointKey"] as const
const durationKeys = [
  "hotReloadInterval",
  "haltCacheTtl",
  "enforcementDeadline",
  "auditDeadline",
  "leaseDuration",
  "checkpointInterval",
  "minimumRetention"
] as const
type SecretKey = (typeof secretKeys)[number]
type DurationKey = (typeof durationKeys)[number]
type Special =
  | SecretKey
  | DurationKey
  | "historicSecrets"
  | "costUnknownModelFallbackUsdPerMillion"
  | "platform"
  | keyof EgressSettings.EgressOptions

const secret = (value: string | Redacted.Redacted<string> | null | undefined) =>
  value === undefined || value === null ? undefined : typeof value === "string" ? Redacted.make(value) : value

/** `auto` is each agent's variable, and in test mode a key in memory (CFG-04). */
const keyStoreOf = (value: string | null, testMode: boolean) =>
  value === "auto" ? (testMode ? "ephemeral" : "env://") : value

const duration = (value: Duration.Input | undefined, initial: Duration.Duration) =>
  value === undefined ? initial : Option.getOrElse(Duration.fromInput(value), () => Duration.zero)

/** Plain options, without those that a caller passed as undefined. */
const definedOf = ({ apiKey: _, platform: __, ...options }: GovernanceOptions): Partial<GovernanceConfig> =>
  Object.fromEntries(
    Object.entries(options).filter(([key, value]) => value !== undefined && key in defaults && !transformed.has(key))
  )
const transformed: ReadonlySet<string> = new Set<Special>([
  ...secretKeys,
  ...durationKeys,
  "historicSecrets",
  "costUnknownModelFallbackUsdPerMillion",
  "platform",
  "egress",
  "approvalWebhooks"
])

const wrong = (setting: string, problem: string) => new ConfigurationError({ setting, problem })

const fallbackRate = (option: number | string | undefined, variable: Option.Option<string>) => {
  const value = option ?? Option.getOrUndefined(variable)
  if (value === undefined) return Effect.succeed(null)
  const setting =
    option === undefined
      ? "GOVERNANCE_COST_UNKNOWN_MODEL_FALLBACK_USD_PER_MILLION"
      : "costUnknownModelFallbackUsdPerMillion"
  return Result.match(parseUsd(value), {
    onFailure: () => Effect.fail(wrong(setting, "must be a positive number of dollars")),
    onSuccess: (rate) => (rate > 0n ? Effect.succeed(rate) : Effect.fail(wrong(setting, "must be more than 0")))
  })
}

const check = Effect.fnUntraced(function* (config: GovernanceConfig, options: GovernanceOptions) {
  if (options.apiKey !== undefined && config.databaseUrl === null) {
    return yield* wrong("apiKey", "is reserved for a managed service; give databaseUrl or GOVERNANCE_DATABASE_URL")
  }
  if (
    config.defaultMaxTokens !== null &&
    !(Number.isSafeInteger(config.defaultMaxTokens) && config.defaultMaxTokens >= 1)
  ) {
    return yield* wrong("defaultMaxTokens", "must be a whole number of at least 1")
  }
  for (const key of durationKeys) {
    if (!Duration.isGreaterThan(config[key], Duration.zero) || !Duration.isFinite(config[key])) {
      return yield* wrong(key, 'must be a duration longer than zero, such as "5 seconds"')
    }
  }
  if (Duration.isLessThan(config.checkpointInterval, Duration.seconds(1))) {
    return yield* wrong("checkpointInterval", "must be at least 1 second")
  }
  if (Duration.isLessThan(config.minimumRetention, defaults.minimumRetention)) {
    return yield* wrong(
      "minimumRetention",
      "cannot be shorter than 183 days; a shorter time is a decision of each pruning"
    )
  }
  if (config.deployment !== null && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(config.deployment)) {
    return yield* wrong("deployment", "must be a name of 1 to 128 letters, digits, dots, hyphens and underscores")
  }
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(config.schema)) {
    return yield* wrong("schema", "must be a plain lower-case Postgres identifier")
  }
  if (config.maxEventsPerSecond !== null && !(config.maxEventsPerSecond > 0)) {
    return yield* wrong("maxEventsPerSecond", "must be more than 0")
  }
  if (!config.costStrictUnknownModels && config.costUnknownModelFallbackUsdPerMillion === null) {
    return yield* wrong("costStrictUnknownModels", "false needs costUnknownModelFallbackUsdPerMillion as well")
  }
  if (!config.coverageHosts.every(isHostPattern)) {
    return yield* wrong("coverageHosts", "must be names of hosts: `host`, `host:port` or `*.host`, without a scheme")
  }
  if (config.approvalWebhooks.length > 0 && !config.enableAudit) {
    return yield* wrong("approvalWebhooks", "needs enableAudit: what is told is read from the log")
  }
  if (config.costWebhooksEnabled && !(config.enableAudit && config.enableCost)) {
    return yield* wrong("costWebhooksEnabled", "needs enableCost, and enableAudit: calls are read from the log")
  }
  const { queueSize, workflow } = config.platform
  if (!(Number.isSafeInteger(queueSize) && queueSize >= 1 && queueSize <= 1_000_000)) {
    return yield* wrong("platform.queueSize", "must be a whole number from 1 to 1 000 000")
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(workflow)) {
    return yield* wrong("platform.workflow", "must be a name of 1 to 64 letters, digits, dots, hyphens and underscores")
  }
  if (config.enableRouting && !config.enableCost) {
    return yield* wrong("enableRouting", "needs enableCost")
  }
})
