import { userInfo } from "node:os"
import { Effect, Option, Result } from "effect"
import { Flag } from "effect/cli"
import { UsageError } from "./CliFailure.ts"
import { notice } from "./Output.ts"

/** `--by`: who acts. It goes into the audit log. */
export const by = Flag.String("by").pipe(
  Flag.withMetavar("name"),
  Flag.withDescription("Who does this, for the audit log (default: your user name on this machine)"),
  Flag.optional
)

/** The given name, else the user name of the operating system, which is said aloud: it will stand in the log. */
export const operator = Effect.fnUntraced(function* (given: Option.Option<string>) {
  if (Option.isSome(given)) return given.value
  const user = Result.try(() => userInfo().username)
  if (Result.isFailure(user) || user.success === "") {
    return yield* new UsageError({
      subject: "--by",
      problem: "is missing, and this machine knows no user name",
      todo: "Give --by NAME."
    })
  }
  yield* notice(`Acting as ${user.success}, your user name on this machine (--by to change it).`)
  return user.success
})
