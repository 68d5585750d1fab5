import { Effect, Option } from "effect"
import { Flag } from "effect/cli"
import type { HoldScope } from "../schema/LegalHold.ts"
import type { HoldOrder } from "../services/LegalHolds.ts"
import { UsageError } from "./CliFailure.ts"
import { by, operator } from "./Operator.ts"

const target = (scope: HoldScope, what: string) =>
  Flag.String(scope).pipe(Flag.withMetavar("name"), Flag.withDescription(what), Flag.optional)

/** What a hold stands on, and who says so. */
export const holdFlags = {
  chain: target("chain", "A chain: session:<id>, agent:<id> or operator"),
  agent: target("agent", "Every row of this agent"),
  session: target("session", "Every row of this session"),
  subject: target("subject", "Every value that was sealed for this subject"),
  reason: Flag.String("reason").pipe(Flag.withMetavar("text"), Flag.withDescription("Why, for the audit log")),
  by
}

type Input = { readonly [K in HoldScope | "by"]: Option.Option<string> } & { readonly reason: string }

export const orderOf = Effect.fnUntraced(function* (input: Input) {
  const given = scopes.flatMap((scope) => Option.toArray(Option.map(input[scope], (name) => ({ scope, name }))))
  const [first] = given
  if (first === undefined || given.length > 1) {
    return yield* new UsageError({
      subject: "A hold",
      problem: "stands on one thing",
      todo: "Give one of --chain, --agent, --session and --subject."
    })
  }
  const order: HoldOrder = { ...first, by: yield* operator(input.by), reason: input.reason }
  return order
})

const scopes = ["chain", "agent", "session", "subject"] as const satisfies ReadonlyArray<HoldScope>
