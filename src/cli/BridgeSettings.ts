import { Effect, Redacted } from "effect"
import { Flag } from "effect/cli"
import * as Settings from "../services/Settings.ts"
import { learn, Secrets } from "./Redaction.ts"

/**
 * Opens a private or local platform to one command: typed by whoever runs it, as code opens it for a program. No variable can do
 * it (DEC-11).
 */
export const trustHost = Flag.String("trust-host").pipe(
  Flag.withMetavar("host:port"),
  Flag.withDescription("A platform on a private network or on this machine; may be given more than once"),
  Flag.atLeast(0)
)

/** The settings as the variables have them; whatever is printed from now on is without the token. */
export const bridgeSettings = Effect.fnUntraced(function* (trustedHosts: ReadonlyArray<string>) {
  const settings = yield* Settings.make({ platform: { trustedHosts } })
  const { ingestToken } = settings.platform
  if (ingestToken !== null) learn(yield* Secrets, Redacted.value(ingestToken).trim())
  return settings
})
