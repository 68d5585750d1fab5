import { Command } from "effect/cli"
import { apply } from "./policy/apply.ts"
import { release } from "./policy/release.ts"
import { show } from "./policy/show.ts"
import { validate } from "./policy/validate.ts"

/** What agents may do, seen and decided by a person. */
export const policy = Command.make("policy").pipe(
  Command.withDescription("See, check, apply and release the policies of agents."),
  Command.withExamples([
    { command: "governance policy apply policies.json", description: "An operator's policy wins over the program's" }
  ]),
  Command.withSubcommands([show, validate, apply, release])
)
