import { Effect, Redacted, Result } from "effect"
import { ConfigurationError } from "../../schema/ConfigurationError.ts"

/**
 * The connection string as the driver wants it: SQLAlchemy's `postgresql+asyncpg://` loses its suffix (ENT-17). What it says
 * is never part of an error.
 */
export const normalisedUrl = Effect.fnUntraced(function* (url: Redacted.Redacted) {
  const text = Redacted.value(url)
    .trim()
    .replace(/^(postgres(?:ql)?)\+[a-z0-9_]+:/i, "$1:")
  const parsed = Result.try(() => new URL(text))
  if (Result.isFailure(parsed) || !/^postgres(ql)?:$/.test(parsed.success.protocol)) {
    return yield* malformed
  }
  return Redacted.make(text)
})

const malformed = new ConfigurationError({
  setting: "databaseUrl",
  problem: "it is not a connection string such as postgresql://user:password@host:5432/database"
})
