import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import type { StoredPolicy } from "../../../schema/Policy.ts"
import { terminalJson } from "../../../schema/TerminalText.ts"
import { PolicyStore } from "../../../services/PolicyStore.ts"
import { withStores } from "../../Environment.ts"
import { agentIdOf } from "../../Names.ts"
import { answer } from "../../Output.ts"
import { table } from "../../Table.ts"

/** The policies in force, with who set them. The `agents` of the JSON can be applied again as a policy file. */
export const show = Command.make("show", {
  agent: Argument.String("agent").pipe(Argument.withDescription("Only this agent"), Argument.optional)
}).pipe(
  Command.withDescription("Show the policies in force, and whether a program or an operator set them."),
  Command.withExamples([
    { command: "governance policy show", description: "All agents" },
    {
      command: "governance policy show billing-agent --json | jq '{agents}' > policies.json",
      description: "As a file to edit and apply"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const only = Option.isSome(input.agent) ? yield* agentIdOf(input.agent.value) : undefined
      const store = yield* PolicyStore
      const rows = (yield* store.all).filter((row) => only === undefined || row.agentId === only).sort(byName)
      yield* answer(jsonOf(rows), (width) =>
        rows.length > 0
          ? table(columns, rows, width)
          : only === undefined
            ? "No policy is set."
            : `No policy is set for this agent.`
      )
    }, withStores)
  )
)

const byName = (a: StoredPolicy, b: StoredPolicy) => (keyOf(a) < keyOf(b) ? -1 : 1)
const keyOf = (row: StoredPolicy) => `${row.agentId}\n${row.kind}`

const columns = [
  { title: "AGENT", keep: true, value: (row: StoredPolicy) => row.agentId },
  { title: "POLICY", keep: true, value: (row: StoredPolicy) => row.kind },
  { title: "SET BY", keep: true, value: (row: StoredPolicy) => (row.source === "operator" ? "operator" : "program") },
  { title: "VERSION", keep: true, right: true, value: (row: StoredPolicy) => String(row.version) },
  { title: "CONTENT", value: (row: StoredPolicy) => terminalJson(row.body) }
]

const jsonOf = (rows: ReadonlyArray<StoredPolicy>) => {
  const names = [...new Set(rows.map(({ agentId }) => agentId))]
  return {
    agents: Object.fromEntries(
      names.map((name) => [
        name,
        Object.fromEntries(rows.filter((row) => row.agentId === name).map((row) => [row.kind, row.body]))
      ])
    ),
    policies: rows.map(({ agentId, kind, source, version }) => ({ agentId, kind, source, version }))
  }
}
