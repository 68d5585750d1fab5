import { Effect, Redacted } from "effect"
import * as Settings from "../services/Settings.ts"
import { learn, Secrets } from "./Redaction.ts"
import { governance } from "./Root.ts"

/** The settings as the variables have them; whatever is printed from now on is without the token. */
export const bridgeSettings = Effect.gen(function* () {
  const { trustHost } = yield* governance
  const settings = yield* Settings.make({ platform: { trustedHosts: trustHost } })
  const { ingestToken } = settings.platform
  if (ingestToken !== null) learn(yield* Secrets, Redacted.value(ingestToken).trim())
  return settings
})
