import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import { defaults } from "../../src/schema/GovernanceConfig.ts"
import * as Settings from "../../src/services/Settings.ts"

const given = (env: Record<string, string>, options: Settings.GovernanceOptions = {}) =>
  Settings.make(options).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))

const refused = (env: Record<string, string>, options: Settings.GovernanceOptions = {}) =>
  Effect.flip(given(env, options))

describe("Settings", () => {
  it.effect("has the documented defaults when nothing is set (ENT-01, ENT-02, CFG-02, CFG-07)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* given({}), defaults)
    })
  )

  it.effect("takes an option before its variable, and the variable before the default (CFG)", () =>
    Effect.gen(function* () {
      const env = { GOVERNANCE_DATABASE_URL: "postgres://from-env/db", GOVERNANCE_COST_STRICT_UNKNOWN_MODELS: "true" }
      const fromEnv = yield* given(env)
      assert.strictEqual(Redacted.value(fromEnv.databaseUrl!), "postgres://from-env/db")
      const fromOption = yield* given(env, { databaseUrl: "postgres://from-option/db" })
      assert.strictEqual(Redacted.value(fromOption.databaseUrl!), "postgres://from-option/db")
    })
  )

  it.effect("reads every documented variable (CFG-01 to CFG-15, CFG-31)", () =>
    Effect.gen(function* () {
      const config = yield* given({
        GOVERNANCE_DATABASE_URL: "postgres://a/b",
        GOVERNANCE_HALT_DATABASE_URL: "postgres://c/d",
        GOVERNANCE_AUDIT_SECRET: "an audit secret",
        GOVERNANCE_WORKSPACE_SALT: "salt",
        GOVERNANCE_DEPLOYMENT: "staging",
        GOVERNANCE_TEST_MODE: "1",
        GOVERNANCE_CHECKPOINT_KEY: "file:///key",
        GOVERNANCE_CHECKPOINT_FILE: "/mnt/checkpoints.jsonl",
        GOVERNANCE_STATE_DIR: "/state",
        GOVERNANCE_CHAIN_KEY_0a1b2c3d: "an older secret",
        GOVERNANCE_COST_STRICT_UNKNOWN_MODELS: "No",
        GOVERNANCE_COST_UNKNOWN_MODEL_FALLBACK_USD_PER_MILLION: "12.5",
        GOVERNANCE_PLATFORM_BRIDGE_ENABLED: "YES",
        GOVERNANCE_PLATFORM_INGEST_URL: "https://platform.example/ingest",
        GOVERNANCE_PLATFORM_INGEST_TOKEN: " wf_token\n",
        GOVERNANCE_PLATFORM_TRUSTED_HOSTS: "a.example, b.example",
        GOVERNANCE_EGRESS_ALLOWED_HOSTS: "hooks.example, b.example",
        GOVERNANCE_APPROVAL_WEBHOOK_URL: "https://hooks.example/",
        GOVERNANCE_APPROVAL_WEBHOOK_SECRET: "whsec_x"
      })
      assert.isTrue(config.testMode)
      assert.isFalse(config.costStrictUnknownModels)
      assert.strictEqual(config.costUnknownModelFallbackUsdPerMillion, 12_500_000_000n)
      assert.deepStrictEqual(config.historicSecrets.map(Redacted.value), ["an older secret"])
      assert.strictEqual(Redacted.value(config.haltDatabaseUrl!), "postgres://c/d")
      assert.strictEqual(Redacted.value(config.platform.ingestToken!), "wf_token")
      assert.strictEqual(Redacted.value(config.checkpointKey!), "file:///key")
      assert.strictEqual(config.checkpointFile, "/mnt/checkpoints.jsonl")
      assert.strictEqual(config.stateDir, "/state")
      assert.strictEqual(config.deployment, "staging")
      assert.isTrue(config.platform.bridgeEnabled)
      assert.deepStrictEqual(config.platform.trustedHosts, [])
      assert.deepStrictEqual(config.platform.allowedHosts, ["a.example", "b.example"])
      assert.deepStrictEqual(config.egress, { ...defaults.egress, allowedHosts: ["hooks.example", "b.example"] })
      assert.deepStrictEqual(
        config.approvalWebhooks.map(({ agents, secret, url }) => [Redacted.value(url), Redacted.value(secret), agents]),
        [["https://hooks.example/", "whsec_x", null]]
      )
    })
  )

  it.effect(
    "a variable only narrows where requests may go, and replaces no webhook of the program's (DEC-11, BEY-10)",
    () =>
      Effect.gen(function* () {
        const env = {
          GOVERNANCE_EGRESS_ALLOWED_HOSTS: "B.example:443,c.example",
          GOVERNANCE_EGRESS_TRUSTED_HOSTS: "10.0.0.1",
          GOVERNANCE_EGRESS_ALLOW_METADATA: "true",
          GOVERNANCE_APPROVAL_WEBHOOK_URL: "https://env.example/",
          GOVERNANCE_APPROVAL_WEBHOOK_SECRET: "whsec_env"
        }
        const egress = { allowedHosts: ["a.example", "b.example"], trustedHosts: ["intra.example"] }
        const config = yield* given(env, {
          egress,
          approvalWebhooks: [{ url: "https://code.example/", secret: "s", agents: ["a"] }]
        })
        assert.deepStrictEqual(config.egress, { ...defaults.egress, ...egress, allowedHosts: ["b.example"] })
        assert.deepStrictEqual(
          config.approvalWebhooks.map(({ agents, url }) => [Redacted.value(url), agents]),
          [["https://code.example/", ["a"]]]
        )
        assert.isEmpty((yield* given(env, { approvalWebhooks: [] })).approvalWebhooks)
        assert.notInclude(JSON.stringify(yield* given(env)), "env.example")
      })
  )

  it.effect("never shows a secret, however it is printed (CFG-32, K-12)", () =>
    Effect.gen(function* () {
      const config = yield* given(
        {},
        { auditSecret: "canary-one", databaseUrl: "postgres://u:canary-two@h/d", historicSecrets: ["canary-three"] }
      )
      const printed = `${JSON.stringify(config)} ${String(config)} ${(yield* Effect.promise(() => import("node:util"))).inspect(config, { depth: 9 })}`
      assert.notInclude(printed, "canary")
    })
  )

  const bad: ReadonlyArray<readonly [string, Record<string, string>, Settings.GovernanceOptions, string]> = [
    ["a boolean that is none", { GOVERNANCE_TEST_MODE: "perhaps" }, {}, "GOVERNANCE_TEST_MODE"],
    ["default_max_tokens below 1 (ENT-04)", {}, { defaultMaxTokens: 0 }, "defaultMaxTokens"],
    ["a fraction of a token", {}, { defaultMaxTokens: 1.5 }, "defaultMaxTokens"],
    ["an api key alone (ENT-04, OQ-01)", {}, { apiKey: "x" }, "apiKey"],
    ["a duration of zero", {}, { haltCacheTtl: 0 }, "haltCacheTtl"],
    ["an endless duration", {}, { enforcementDeadline: Number.POSITIVE_INFINITY }, "enforcementDeadline"],
    ["less than six months of the log (CMP-15)", {}, { minimumRetention: "182 days" }, "minimumRetention"],
    ["strict off without a rate (OQ-34)", {}, { costStrictUnknownModels: false }, "costStrictUnknownModels"],
    [
      "a negative rate (CFG-08)",
      {},
      { costUnknownModelFallbackUsdPerMillion: -1 },
      "costUnknownModelFallbackUsdPerMillion"
    ],
    [
      "a rate that is no number",
      { GOVERNANCE_COST_UNKNOWN_MODEL_FALLBACK_USD_PER_MILLION: "1e3" },
      {},
      "GOVERNANCE_COST_UNKNOWN_MODEL_FALLBACK_USD_PER_MILLION"
    ],
    ["a deployment without a name", {}, { deployment: "" }, "deployment"],
    ["a deployment with a line break", {}, { deployment: "production\nv2" }, "deployment"],
    ["a deployment in look-alike letters", { GOVERNANCE_DEPLOYMENT: "prоduction" }, {}, "deployment"],
    ["a schema that is no identifier", {}, { schema: 'x"; drop' }, "schema"],
    ["routing without cost (ENT-07)", {}, { enableRouting: true, enableCost: false }, "enableRouting"],
    [
      "a webhook without a secret",
      { GOVERNANCE_APPROVAL_WEBHOOK_URL: "https://hooks.example/" },
      {},
      "GOVERNANCE_APPROVAL_WEBHOOK_SECRET"
    ],
    ["a secret without a webhook", { GOVERNANCE_APPROVAL_WEBHOOK_SECRET: "x" }, {}, "GOVERNANCE_APPROVAL_WEBHOOK_URL"],
    [
      "a webhook without the log that it is read from",
      {},
      { enableAudit: false, approvalWebhooks: [{ url: "https://hooks.example/", secret: "x" }] },
      "approvalWebhooks"
    ],
    ["no events a second at all", {}, { maxEventsPerSecond: 0 }, "maxEventsPerSecond"]
  ]
  for (const [what, env, options, setting] of bad) {
    it.effect(`refuses ${what}`, () =>
      Effect.gen(function* () {
        const error = yield* refused(env, options)
        assert.strictEqual(error.setting, setting)
        assert.isNotEmpty(error.recoveryHint)
      })
    )
  }

  it.effect("counts an empty variable as unset", () =>
    Effect.gen(function* () {
      assert.isNull((yield* given({ GOVERNANCE_DATABASE_URL: "" })).databaseUrl)
    })
  )

  it.effect("understands durations as Effect writes them", () =>
    Effect.gen(function* () {
      const config = yield* given({}, { haltCacheTtl: "250 millis" })
      assert.strictEqual(Duration.toMillis(config.haltCacheTtl), 250)
    })
  )
})
