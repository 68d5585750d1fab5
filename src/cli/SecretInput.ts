import { writeFileSync } from "node:fs"
import { Config, Effect, Option, Redacted, Result } from "effect"
import { UsageError } from "./CliFailure.ts"
import { readInput, readText } from "./InputText.ts"
import { learn, Secrets } from "./Redaction.ts"

/** A secret from `env:NAME`, `file:PATH` or `-`. One that stands on the command line itself is refused: everybody can read that. */
export const givenSecret = Effect.fnUntraced(function* (source: string) {
  const secrets = yield* Secrets
  const text = yield* textOf(source)
  learn(secrets, text)
  return Redacted.make(text.trim(), { label: "new audit secret" })
})

const textOf = (source: string) => {
  if (source === "-") return readInput(maxBytes)
  if (source.startsWith("file:")) return readText(source.slice(5), maxBytes)
  if (source.startsWith("env:")) return variable(source.slice(4))
  return Effect.flatMap(Secrets, (secrets) => {
    learn(secrets, source)
    return new UsageError({
      subject: "--new-secret",
      problem: "is no env:NAME, file:PATH or -; what stands on a command line every user of this machine can read",
      todo: "If that was a secret, make another. Put it into a variable or a file and name that."
    })
  })
}

const variable = Effect.fnUntraced(function* (name: string) {
  const found = yield* Effect.orElseSucceed(Config.option(Config.String(name)), () => Option.none<string>())
  if (Option.isSome(found) && found.value.trim() !== "") return found.value
  return yield* new UsageError({
    subject: "--new-secret",
    problem: "names an environment variable that is not set",
    todo: "Set it, or use file:PATH."
  })
})

/** A new file for its owner alone. One that is there already is never written over. */
export const writeSecret = (path: string, secret: Redacted.Redacted<string>) =>
  Result.match(
    Result.try(() => writeFileSync(path, `${Redacted.value(secret)}\n`, { mode: 0o600, flag: "wx", flush: true })),
    {
      onSuccess: () => Effect.void,
      onFailure: () =>
        Effect.fail(
          new UsageError({
            subject: "--write-secret-to",
            problem: "names a file that cannot be made, or is there already",
            todo: "Name a new file in a directory that you may write to."
          })
        )
    }
  )

const maxBytes = 8_192
