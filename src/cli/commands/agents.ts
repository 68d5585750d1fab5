import { DateTime, Effect } from "effect"
import { Command } from "effect/cli"
import type { AgentId } from "../../schema/Ids.ts"
import type { AgentPresence, Halt } from "../../schema/Presence.ts"
import { PresenceStore } from "../../services/PresenceStore.ts"
import { withStores } from "../Environment.ts"
import { answer } from "../Output.ts"
import { table } from "../Table.ts"
import { keys } from "./agents/keys.ts"

/** Who is there and who is stopped, a halt of an agent above included. */
export const agents = Command.make("agents").pipe(
  Command.withDescription("List the agents: status, parent, when they were last seen, and who halted them."),
  Command.withExamples([
    { command: "governance agents", description: "All of them" },
    {
      command: "governance agents --json | jq '.[] | select(.status == \"halted\")'",
      description: "Those that are stopped"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const store = yield* PresenceStore
      const halts = new Map((yield* store.halts).map((halt) => [halt.agentId, halt]))
      const present = yield* store.list
      const known = new Map(present.map((agent) => [agent.agentId, agent]))
      const rows = present
        .map((agent) => ({ agent, halt: haltAbove(agent, known, halts) }))
        .sort((a, b) => (a.agent.agentId < b.agent.agentId ? -1 : 1))
      yield* answer(rows.map(jsonOf), (width) =>
        rows.length === 0 ? "No agent has been seen yet." : table(columns, rows, width)
      )
    }, withStores)
  ),
  Command.withSubcommands([keys])
)

interface Row {
  readonly agent: AgentPresence
  /** In force for the agent: its own, or that of the nearest agent above. */
  readonly halt: Halt | undefined
}

/** The nearest halt on the way up. The path is short and has no cycle (BEY-09); the bound holds whatever the store says. */
export const haltAbove = (
  agent: AgentPresence,
  known: ReadonlyMap<AgentId, AgentPresence>,
  halts: ReadonlyMap<AgentId, Halt>
): Halt | undefined => {
  let current: AgentPresence | undefined = agent
  for (let depth = 0; depth < 16 && current !== undefined; depth++) {
    const halt = halts.get(current.agentId)
    if (halt !== undefined) return halt
    if (current.parent === null) return undefined
    const above: AgentPresence | undefined = known.get(current.parent)
    if (above === undefined) return halts.get(current.parent)
    current = above
  }
  return undefined
}

const columns = [
  { title: "AGENT", keep: true, value: ({ agent }: Row) => agent.agentId },
  { title: "STATUS", keep: true, value: (row: Row) => statusOf(row) },
  {
    title: "LAST SEEN",
    keep: true,
    value: ({ agent }: Row) => (agent.lastSeen === null ? "-" : DateTime.formatIso(agent.lastSeen))
  },
  { title: "PARENT", value: ({ agent }: Row) => agent.parent ?? "-" },
  { title: "OPERATOR", value: ({ agent }: Row) => agent.operatorId ?? "-" },
  { title: "HALTED BY", value: (row: Row) => haltedBy(row) }
]

const statusOf = ({ agent, halt }: Row) => (halt === undefined ? agent.status : "halted")

const haltedBy = ({ agent, halt }: Row) => {
  if (halt === undefined) return "-"
  const through = halt.agentId === agent.agentId ? "" : ` (through ${halt.agentId})`
  return `${halt.haltedBy}${through}: ${halt.reason}`
}

const jsonOf = (row: Row) => ({
  agentId: row.agent.agentId,
  status: statusOf(row),
  parent: row.agent.parent,
  lastSeen: row.agent.lastSeen === null ? null : DateTime.formatIso(row.agent.lastSeen),
  operatorId: row.agent.operatorId,
  halt: row.halt === undefined ? null : { ...row.halt, haltedAt: DateTime.formatIso(row.halt.haltedAt) }
})
