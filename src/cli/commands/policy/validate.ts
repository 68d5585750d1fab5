import { Effect } from "effect"
import { Command } from "effect/cli"
import { counted } from "../../CliFailure.ts"
import { answer } from "../../Output.ts"
import { file, readPolicies } from "../../PolicyInput.ts"

/** Checks a policy file without a database. Exit 2 when it cannot be applied. */
export const validate = Command.make("validate", { file }).pipe(
  Command.withDescription("Check a policy file and name everything that is wrong with it. Needs no database."),
  Command.withExamples([{ command: "governance policy validate policies.json", description: "Before a commit" }]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const entries = yield* readPolicies(input.file)
      const agents = new Set(entries.map(({ agentId }) => agentId)).size
      yield* answer(
        { valid: true, agents, policies: entries.length },
        () => `ok: ${counted(entries.length, "policy", "policies")} of ${counted(agents, "agent")}`
      )
    })
  )
)
