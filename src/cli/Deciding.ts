import { Effect } from "effect"
import { Argument, Flag } from "effect/cli"
import { readInput } from "./InputText.ts"

/** The token of a request: the approver's, so it may stand in a command line (FWD-11). */
export const token = Argument.String("token").pipe(
  Argument.withDescription("From `governance approvals`; - reads it from standard input")
)

export const reason = Flag.String("reason").pipe(
  Flag.withMetavar("text"),
  Flag.withDescription("Why, for the audit log; the agent never sees it"),
  Flag.withDefault("")
)

/** The token itself; what surrounds it in a pipe or a copied line does not matter. */
export const tokenOf = (given: string) =>
  given === "-" ? Effect.map(readInput(4096), (text) => text.trim()) : Effect.succeed(given.trim())
