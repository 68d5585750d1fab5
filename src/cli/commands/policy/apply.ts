import { Effect } from "effect"
import { Command } from "effect/cli"
import { OperatorPolicies, type PolicyChange } from "../../../services/OperatorPolicies.ts"
import { counted } from "../../CliFailure.ts"
import { withServices } from "../../Environment.ts"
import { by, operator } from "../../Operator.ts"
import { answer } from "../../Output.ts"
import { file, readPolicies } from "../../PolicyInput.ts"
import { table } from "../../Table.ts"

/** Applies a whole file or nothing. The file is checked before any database is touched. */
export const apply = Command.make("apply", { file, by }).pipe(
  Command.withDescription("Apply a policy file as an operator: all of it or nothing, audited as policy.changed."),
  Command.withExamples([
    { command: "governance policy apply policies.json", description: "From a file" },
    {
      command: "governance policy apply - --by alice@example.com < policies.json",
      description: "From standard input, in somebody's name"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const entries = yield* readPolicies(input.file)
      const name = yield* operator(input.by)
      const changes = yield* withServices(OperatorPolicies.use((policies) => policies.apply(entries, name)))
      yield* answer(changes.map(jsonOf), (width) => text(changes, width))
    })
  )
)

const text = (changes: ReadonlyArray<PolicyChange>, width: number | undefined): string => {
  const changed = changes.filter((one) => one.changed).length
  const same = changes.length - changed
  return [
    table(columns, changes, width),
    "",
    `${counted(changed, "policy", "policies")} applied, ${same} as before. They win over what programs register, until \`governance policy release\`.`
  ].join("\n")
}

const columns = [
  { title: "AGENT", keep: true, value: ({ policy }: PolicyChange) => policy.agentId },
  { title: "POLICY", keep: true, value: ({ policy }: PolicyChange) => policy.kind },
  { title: "VERSION", keep: true, right: true, value: ({ policy }: PolicyChange) => String(policy.version) },
  { title: "RESULT", keep: true, value: ({ changed }: PolicyChange) => (changed ? "applied" : "as before") }
]

const jsonOf = ({ changed, policy }: PolicyChange) => ({ ...policy, changed })
