import { Effect } from "effect"
import { Argument } from "effect/cli"
import { PolicyKind, policyKinds } from "../schema/Policy.ts"
import { describe, parsePolicyFile } from "../schema/PolicyFileText.ts"
import { readFrom } from "./InputText.ts"
import { notice } from "./Output.ts"

export const file = Argument.String("file").pipe(
  Argument.withDescription("A policy file in JSON, or - for standard input")
)

export const kind = Argument.Literals("kind", PolicyKind.literals).pipe(
  Argument.withDescription(`One of ${policyKinds.join(", ")}`)
)

/** The entries of a policy file; every problem is told, one line each, before it fails. */
export const readPolicies = Effect.fnUntraced(function* (path: string) {
  const name = path === "-" ? "standard input" : path
  const text = yield* readFrom(path, maxFileBytes)
  return yield* Effect.tapError(Effect.fromResult(parsePolicyFile(name, text)), (error) =>
    error.problems.length < 2
      ? Effect.void
      : Effect.forEach(error.problems.slice(0, 50), (problem) => notice(`  ${describe(problem)}`), { discard: true })
  )
})

const maxFileBytes = 4 * 1024 * 1024
