import { createHmac, hkdfSync } from "node:crypto"
import { Effect, Redacted } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import { domainLabels, subkeyInfo } from "../schema/Subkeys.ts"

/**
 * Names of machines and hosts as the registry may hold them: HMAC under the workspace salt, else under a key that only this is
 * derived for from the audit secret, with one warning (CFG-03, COV-02). Fails when there is neither.
 */
export const make = Effect.fnUntraced(function* ({
  auditSecret,
  workspaceSalt
}: Pick<GovernanceConfig, "auditSecret" | "workspaceSalt">) {
  if (workspaceSalt === null && auditSecret !== null) {
    yield* Effect.logWarning("coverage.salt_from_audit_secret", {
      effect: "digests of host names change when the audit secret does",
      remedy: "set workspaceSalt (GOVERNANCE_WORKSPACE_SALT)"
    })
  }
  const secret = workspaceSalt ?? auditSecret
  if (secret === null) {
    return yield* new ConfigurationError({
      setting: "workspaceSalt",
      problem: "is needed with enableCoverage where there is no audit secret; set it or GOVERNANCE_WORKSPACE_SALT"
    })
  }
  const text = Redacted.value(secret)
  // Names of machines are easily guessed: a salt that is guessed as well hides nothing.
  if (text.length < minSaltLength) {
    return yield* new ConfigurationError({
      setting: "workspaceSalt",
      problem: `must have at least ${minSaltLength} characters`
    })
  }
  const key = Buffer.from(hkdfSync("sha256", text, "", subkeyInfo("coverage-host"), 32))
  return (name: string): string =>
    createHmac("sha256", key).update(`${domainLabels.coverageHost}${name.toLowerCase()}`).digest("hex")
})

const minSaltLength = 16
