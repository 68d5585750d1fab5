import { Config, Effect, Option, Redacted } from "effect"
import { type PlatformConfig, platformDefaults } from "../platform/PlatformSettings.ts"
import { UsageError } from "./CliFailure.ts"
import { learn, Secrets } from "./Redaction.ts"

/** What the environment says of a platform, with the public address that a flag may give. */
export const platformConfig = Effect.fnUntraced(function* (publicUrl: string | undefined) {
  const upgradeUrl = yield* text("GOVERNANCE_PLATFORM_UPGRADE_URL")
  const url = publicUrl ?? (yield* text("GOVERNANCE_PLATFORM_URL")) ?? platformDefaults.publicUrl
  if (!URL.canParse(url) || !/^https?:\/\/[^/?#@]+\/*$/.test(url)) {
    return yield* new UsageError({
      subject: "--public-url",
      problem: "is no origin",
      todo: "It looks like https://governance.example.com, without a path. GOVERNANCE_PLATFORM_URL says the same."
    })
  }
  const config: PlatformConfig = {
    publicUrl: url.replace(/\/+$/, ""),
    upgradeUrl: upgradeUrl ?? null,
    trustProxy: yield* Config.withDefault(Config.Boolean("GOVERNANCE_PLATFORM_TRUST_PROXY"), false),
    contact: (yield* text("GOVERNANCE_PLATFORM_CONTACT")) ?? null,
    region: (yield* text("GOVERNANCE_PLATFORM_REGION")) ?? platformDefaults.region
  }
  return config
})

/** The mail server, where one is named; without one mails are printed. */
export const mailServer = Effect.gen(function* () {
  const url = yield* text("GOVERNANCE_PLATFORM_SMTP_URL")
  if (url === undefined) return null
  learn(yield* Secrets, url)
  const from = yield* text("GOVERNANCE_PLATFORM_MAIL_FROM")
  if (from === undefined || !/^smtps?:\/\//.test(url)) {
    return yield* new UsageError({
      subject: from === undefined ? "GOVERNANCE_PLATFORM_MAIL_FROM" : "GOVERNANCE_PLATFORM_SMTP_URL",
      problem: from === undefined ? "is not set" : "is no address of a mail server",
      todo: "Mail needs both: smtps://user:password@host:465 and the address that mails come from."
    })
  }
  return { url: Redacted.make(url, { label: "mail server" }), from }
})

const text = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Config.map(Option.filter((value) => value.trim() !== "")),
    Config.map(Option.getOrUndefined)
  )
