import { Effect, Layer, Redacted } from "effect"
import * as ChainKeys from "../services/ChainKeys.ts"
import * as Settings from "../services/Settings.ts"
import { Place } from "./Place.ts"
import { learn, Secrets } from "./Redaction.ts"

/** What this command works with, as a program would see it. */
export const settings = Layer.unwrap(
  Effect.map(Place, ({ appUrl, auditSecret, checkpoints, otherSecrets, schema, trustedHosts }) =>
    Settings.layer({
      databaseUrl: appUrl,
      schema,
      auditSecret: auditSecret ?? undefined,
      historicSecrets: otherSecrets,
      platform: { trustedHosts },
      ...checkpoints
    })
  )
)

/** Rotated-out secrets are as secret as the current one: none may reach the screen (CFG-32). */
const given = Effect.gen(function* () {
  const { auditSecret, historicSecrets, platform } = yield* Settings.Settings
  const secrets = yield* Secrets
  for (const secret of historicSecrets) learn(secrets, Redacted.value(secret))
  if (platform.ingestToken !== null) learn(secrets, Redacted.value(platform.ingestToken))
  return { secret: auditSecret, historic: historicSecrets, ephemeralAllowed: false }
})

/** For whoever writes rows. Fails without a secret (DEC-18). */
export const writingKeys = Layer.unwrap(Effect.map(given, ChainKeys.layer))

/** The secret when there is one; else a key that fits no row, so that what needs a secret counts as not judged. */
export const readingKeys = Layer.unwrap(
  Effect.map(given, (options) => (options.secret === null ? ChainKeys.layerMemory : ChainKeys.layer(options)))
)
