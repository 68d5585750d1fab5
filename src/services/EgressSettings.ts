import { Effect, Option, Redacted } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { hostAndPort } from "../schema/EgressTarget.ts"
import { defaults, type GovernanceConfig } from "../schema/GovernanceConfig.ts"

type Secret = string | Redacted.Redacted<string>

/** Where this library may send requests, and who hears of approvals, as a program writes it. */
export interface EgressOptions {
  readonly egress?: Partial<GovernanceConfig["egress"]> | undefined
  readonly approvalWebhooks?:
    | ReadonlyArray<{ readonly url: Secret; readonly secret: Secret; readonly agents?: ReadonlyArray<string> }>
    | undefined
}

export interface EgressVariables {
  readonly egressAllowedHosts: Option.Option<ReadonlyArray<string>>
  readonly approvalWebhookUrl: Option.Option<Redacted.Redacted<string>>
  readonly approvalWebhookSecret: Option.Option<Redacted.Redacted<string>>
}

/** The variable narrows what code allows and can open nothing (DEC-11); a webhook in code replaces the one in the variables. */
export const make = Effect.fnUntraced(function* (options: EgressOptions, env: EgressVariables) {
  const inCode = options.egress?.allowedHosts ?? null
  const narrowed = Option.getOrNull(env.egressAllowedHosts)
  const egress: GovernanceConfig["egress"] = {
    trustedHosts: options.egress?.trustedHosts ?? defaults.egress.trustedHosts,
    allowMetadata: options.egress?.allowMetadata ?? defaults.egress.allowMetadata,
    ca: options.egress?.ca ?? defaults.egress.ca,
    allowedHosts: inCode === null || narrowed === null ? (inCode ?? narrowed) : inCode.filter(isAmong(narrowed))
  }
  if (options.approvalWebhooks !== undefined) {
    const approvalWebhooks = options.approvalWebhooks.map(({ agents, secret, url }) => ({
      url: hidden(url),
      secret: hidden(secret),
      agents: agents ?? null
    }))
    return { egress, approvalWebhooks }
  }
  const [url, secret] = [Option.getOrNull(env.approvalWebhookUrl), Option.getOrNull(env.approvalWebhookSecret)]
  if ((url === null) !== (secret === null)) {
    return yield* new ConfigurationError({
      setting: url === null ? "GOVERNANCE_APPROVAL_WEBHOOK_URL" : "GOVERNANCE_APPROVAL_WEBHOOK_SECRET",
      problem: "is not set, and the other of the two is"
    })
  }
  return { egress, approvalWebhooks: url === null || secret === null ? [] : [{ url, secret, agents: null }] }
})

const isAmong = (others: ReadonlyArray<string>) => (host: string) =>
  others.some((other) => hostAndPort(other) === hostAndPort(host))

const hidden = (value: Secret) => (typeof value === "string" ? Redacted.make(value) : value)
