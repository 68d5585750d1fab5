import { Config, Effect, Option, Redacted, Result } from "effect"
import { UsageError } from "./CliFailure.ts"
import { readInput, readText } from "./InputText.ts"
import { learn, Secrets } from "./Redaction.ts"
import type { SharedFlags } from "./Root.ts"

/** Where a command works: a Postgres of the user's own, or the embedded one in a directory. */
export type DatabaseTarget =
  | { readonly _tag: "Url"; readonly url: Redacted.Redacted<string>; readonly from: string }
  | { readonly _tag: "Embedded"; readonly dataDir: string; readonly asked: boolean }

/** Flags win over GOVERNANCE_DATABASE_URL; with neither, the embedded database. A password in argv is refused (L-05). */
export const databaseTarget = Effect.fnUntraced(function* (flags: SharedFlags) {
  if (Option.isSome(flags.databaseUrl) && Option.isSome(flags.dataDir)) {
    return yield* new UsageError({
      subject: "--database-url and --data-dir",
      problem: "name two different databases",
      todo: "Give one of them."
    })
  }
  if (Option.isSome(flags.databaseUrl)) return yield* fromFlag(flags.databaseUrl.value)
  if (Option.isSome(flags.dataDir)) return embedded(flags.dataDir.value, true)
  const variable = yield* optionalVariable("GOVERNANCE_DATABASE_URL")
  return Option.isSome(variable)
    ? yield* target(variable.value, "GOVERNANCE_DATABASE_URL")
    : embedded("./.governance", false)
})

/** True when a connection string carries a password: before `@`, or as a parameter, URL or not. */
export const hasPassword = (url: string): boolean => {
  if (/(?:^|[\s?&])(?:ssl)?password\s?=/i.test(url)) return true
  const parsed = Result.try(() => new URL(url))
  if (Result.isSuccess(parsed)) return parsed.success.password !== ""
  const colon = url.indexOf(":", url.indexOf("://") + 3)
  return colon >= 0 && url.lastIndexOf("@") > colon
}

const embedded = (dataDir: string, asked: boolean): DatabaseTarget => ({ _tag: "Embedded", dataDir, asked })

const fromFlag = Effect.fnUntraced(function* (value: string) {
  if (value.startsWith("env:")) {
    const name = value.slice(4)
    const found = yield* optionalVariable(name)
    return Option.isSome(found)
      ? yield* target(found.value, `environment variable ${name}`)
      : yield* refused(`names the environment variable ${name}, which is not set`, `Set ${name}, or use file:PATH.`)
  }
  if (value.startsWith("file:"))
    return yield* target(yield* readText(value.slice(5), maxUrlBytes), `file ${value.slice(5)}`)
  if (value === "-") return yield* target(yield* readInput(maxUrlBytes), "standard input")
  if (hasPassword(value)) {
    learn(yield* Secrets, value)
    return yield* refused(
      "has a password in it, which every user of this machine can read in the process list, and your shell keeps in its history",
      "Put the URL into a variable or a file and give --database-url env:NAME or file:PATH; change the password if others use this machine."
    )
  }
  return yield* target(value, "--database-url")
})

const target = Effect.fnUntraced(function* (text: string, from: string) {
  const url = text.trim()
  learn(yield* Secrets, url)
  const parsed = Result.try(() => new URL(url))
  if (Result.isFailure(parsed) || !/^postgres(?:ql)?(?:\+[a-z0-9_]+)?:$/i.test(parsed.success.protocol)) {
    return yield* new UsageError({
      subject: from,
      problem: "is not a Postgres connection string",
      todo: "It looks like postgresql://user@host:5432/database; the flag also takes env:NAME and file:PATH."
    })
  }
  const found: DatabaseTarget = { _tag: "Url", url: Redacted.make(url, { label: "database URL" }), from }
  return found
})

const optionalVariable = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Effect.orElseSucceed(() => Option.none<string>()),
    Effect.map(Option.filter((value) => value.trim() !== ""))
  )

const refused = (problem: string, todo: string) => new UsageError({ subject: "--database-url", problem, todo })

const maxUrlBytes = 16_384
