import { Config, ConfigProvider, Effect, Option, Redacted } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"

const wrong = (setting: string, problem: string) => new ConfigurationError({ setting, problem })

/** `true/1/yes` and `false/0/no`, in any case; an empty variable counts as unset. */
const flag = (name: string) =>
  text(name).pipe(
    Effect.flatMap(
      Option.match({
        onNone: () => Effect.succeedNone,
        onSome: (value) =>
          /^(true|1|yes)$/i.test(value)
            ? Effect.succeedSome(true)
            : /^(false|0|no)$/i.test(value)
              ? Effect.succeedSome(false)
              : Effect.fail(wrong(name, "must be true or false"))
      })
    )
  )

const text = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Effect.mapError(() => wrong(name, "cannot be read")),
    Effect.map(Option.map((value) => value.trim())),
    Effect.map(Option.filter((value) => value !== ""))
  )

const hidden = (name: string) =>
  Effect.map(
    text(name),
    Option.map((value) => Redacted.make(value))
  )

const list = (name: string) =>
  Effect.map(
    text(name),
    Option.map((value) =>
      value
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "")
    )
  )

/** Rotated-out secrets carry a fingerprint in the variable's name: GOVERNANCE_CHAIN_KEY_<fingerprint> (CFG-06). */
const chainKeys = Effect.gen(function* () {
  const provider = yield* ConfigProvider.ConfigProvider
  const node = yield* Effect.orElseSucceed(provider.load(["GOVERNANCE", "CHAIN", "KEY"]), () => undefined)
  const suffixes = node !== undefined && node._tag === "Record" ? [...node.keys].sort() : []
  const values = yield* Effect.forEach(suffixes, (suffix) => hidden(`GOVERNANCE_CHAIN_KEY_${suffix}`))
  return values.flatMap((value) => Option.toArray(value))
})

const signingPolicy = Effect.flatMap(
  text("GOVERNANCE_SIGNING_POLICY"),
  Option.match({
    onNone: () => Effect.succeedNone,
    onSome: (value): Effect.Effect<Option.Option<"degrade" | "require">, ConfigurationError> =>
      value === "degrade" || value === "require"
        ? Effect.succeedSome(value)
        : Effect.fail(wrong("GOVERNANCE_SIGNING_POLICY", "must be degrade or require"))
  })
)

/** The environment variables, each as what it means. Fails with ConfigurationError for one that cannot be read as that. */
export const variables = Effect.all({
  databaseUrl: hidden("GOVERNANCE_DATABASE_URL"),
  haltDatabaseUrl: hidden("GOVERNANCE_HALT_DATABASE_URL"),
  auditSecret: hidden("GOVERNANCE_AUDIT_SECRET"),
  workspaceSalt: hidden("GOVERNANCE_WORKSPACE_SALT"),
  deployment: text("GOVERNANCE_DEPLOYMENT"),
  checkpointKey: hidden("GOVERNANCE_CHECKPOINT_KEY"),
  checkpointFile: text("GOVERNANCE_CHECKPOINT_FILE"),
  stateDir: text("GOVERNANCE_STATE_DIR"),
  testMode: flag("GOVERNANCE_TEST_MODE"),
  signingKeys: text("GOVERNANCE_SIGNING_KEYS"),
  signingPolicy,
  strictUnknownModels: flag("GOVERNANCE_COST_STRICT_UNKNOWN_MODELS"),
  fallbackRate: text("GOVERNANCE_COST_UNKNOWN_MODEL_FALLBACK_USD_PER_MILLION"),
  costWebhooksEnabled: flag("GOVERNANCE_COST_WEBHOOKS_ENABLED"),
  bridgeEnabled: flag("GOVERNANCE_PLATFORM_BRIDGE_ENABLED"),
  ingestUrl: text("GOVERNANCE_PLATFORM_INGEST_URL"),
  ingestToken: hidden("GOVERNANCE_PLATFORM_INGEST_TOKEN"),
  trustedHosts: list("GOVERNANCE_PLATFORM_TRUSTED_HOSTS"),
  bridgeOutbox: flag("GOVERNANCE_PLATFORM_OUTBOX"),
  bridgeWorkflow: text("GOVERNANCE_PLATFORM_WORKFLOW"),
  witness: flag("GOVERNANCE_PLATFORM_WITNESS"),
  egressAllowedHosts: list("GOVERNANCE_EGRESS_ALLOWED_HOSTS"),
  approvalWebhookUrl: hidden("GOVERNANCE_APPROVAL_WEBHOOK_URL"),
  approvalWebhookSecret: hidden("GOVERNANCE_APPROVAL_WEBHOOK_SECRET"),
  chainKeys
})
