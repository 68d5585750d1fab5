import { Clock, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { isoOf } from "../../schema/Instant.ts"
import { sealsNamed } from "../../schema/SealedText.ts"
import { terminalText } from "../../schema/TerminalText.ts"
import type { ListedGate } from "../../services/GateAct.ts"
import { GateDecisions } from "../../services/GateDecisions.ts"
import { counted } from "../CliFailure.ts"
import { withServices } from "../Environment.ts"
import { agentIdOf } from "../Names.ts"
import { answer } from "../Output.ts"
import { governance, type SharedFlags } from "../Root.ts"
import { facts, momentText, table } from "../Table.ts"

/** What waits for a person, each with the token that decides it; `--all` lists what was decided too. */
export const approvals = Command.make("approvals", {
  agent: Flag.String("agent").pipe(Flag.withMetavar("id"), Flag.withDescription("Only this agent"), Flag.optional),
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("Also what was granted, denied, used or ran out (the newest 500)"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  )
}).pipe(
  Command.withDescription("List the calls of agents that wait for a person's approval, and how to decide them."),
  Command.withExamples([
    { command: "governance approvals", description: "What waits now" },
    { command: "governance approvals --agent billing-agent --all", description: "What became of one agent's requests" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const agentId = Option.isNone(input.agent) ? undefined : yield* agentIdOf(input.agent.value)
      const decisions = yield* GateDecisions
      const found = yield* decisions.list({ agentId, which: input.all ? "all" : "pending", limit: most })
      const nowMs = yield* Clock.currentTimeMillis
      const where = samePlace(yield* governance)
      yield* answer(found.map(jsonOf), (width) => {
        if (found.length === 0)
          return input.all ? "Nobody has asked for an approval yet." : "Nothing waits for an approval."
        if (input.all) return tableOf(found, width)
        const title = `${counted(found.length, "call waits", "calls wait")} for a person.`
        const rest = found.length < most ? [] : [`Only the newest ${most} are shown; --agent has those of one agent.`]
        return [title, ...found.map((one) => cardOf(one, nowMs, where)), ...rest, otherwise].join("\n\n")
      })
    }, withServices)
  )
)

const cardOf = ({ earlierOutcome, gate, token, votes }: ListedGate, nowMs: number, place: string): string => {
  const left = seconds(gate.expiresAtMs - nowMs)
  const where = gate.sessionId === null ? "" : `, in session ${terminalText(gate.sessionId, 100)}`
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["arguments", gate.payload === null ? "none" : terminalText(sealsNamed(gate.payload), shownArguments)],
    ["action hash", gate.actionHash],
    ["asked", `${seconds(nowMs - gate.createdAtMs)} ago${where}; ends in ${left}`],
    ["needs", `${counted(gate.quorum, "approval")}${votes === 0 ? "" : `, has ${votes}`}`],
    [
      "not by",
      gate.operators.length === 0
        ? "anyone, as long as nobody is known to operate it"
        : [...new Set(gate.operators)].join(", ")
    ],
    ...(gate.reviewer === null ? [] : [["claimed by", gate.reviewer] as const]),
    ...(earlierOutcome === null ? [] : [["CAREFUL", warnings[earlierOutcome]] as const]),
    ["request", gate.requestId]
  ]
  const indented = facts(rows)
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n")
  // The token stands on a line of its own and is never clipped: it is there to be copied.
  const how =
    token === null
      ? "  It cannot be decided here: this terminal lacks its key, or somebody has changed it in the database."
      : `  governance grant ${token}${terminalText(place, 500)}`
  return `${terminalText(gate.kind, 100)} by ${terminalText(gate.agentId, 100)}\n${indented}\n${how}`
}

/** The flags that lead to the same database; a URL is left to whoever typed it. */
const samePlace = ({ dataDir, databaseUrl, schema }: SharedFlags): string => {
  const url = Option.filter(databaseUrl, (given) => /^(?:env|file):[\w./-]+$/.test(given))
  return [
    Option.match(dataDir, { onNone: () => "", onSome: (path) => ` --data-dir ${quoted(path)}` }),
    Option.match(url, { onNone: () => "", onSome: (given) => ` --database-url ${given}` }),
    schema === "public" ? "" : ` --schema ${quoted(schema)}`
  ].join("")
}
const quoted = (text: string) => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

const shownArguments = 600
const most = 500

const otherwise = `Say who you are with --by. To refuse one: governance deny TOKEN. With other arguments: governance grant TOKEN --arguments '{...}'.`

const warnings = {
  running: "an approval of the same action was used, and that call is still running",
  completed: "an approval of the same action was used before, and that call ended",
  not_run: "an approval of the same action was used before, by a call that was refused in the end and did not run",
  unknown: "an approval of the same action was used before, and NOBODY KNOWS whether it was carried out"
} as const

/** Short and rounded down: "45 s", "12 min", "3 h". */
const seconds = (ms: number): string => {
  const all = Math.max(0, Math.floor(ms / 1000))
  if (all < 120) return `${all} s`
  return all < 7200 ? `${Math.floor(all / 60)} min` : `${Math.floor(all / 3600)} h`
}

/** One line for each request, and its arguments below: beside the rest they would have no room in 80 columns. */
const tableOf = (found: ReadonlyArray<ListedGate>, width: number | undefined): string => {
  const [title, ...lines] = table(columns(width === undefined), found, width).split("\n")
  return [title, ...found.flatMap((one, i) => [lines[i] ?? "", ...argumentLines(one, width)])].join("\n")
}

const argumentLines = ({ gate }: ListedGate, width: number | undefined): ReadonlyArray<string> => {
  // What stands before the text, and the count of what was clipped behind it, need 36 cells.
  const most = width === undefined ? shownArguments : Math.max(8, width - 36)
  const line = (label: string, payload: string) => `  ${label} ${terminalText(sealsNamed(payload), most)}`
  if (gate.editedPayload === null) return gate.payload === null ? [] : [line("arguments", gate.payload)]
  return [line("asked for", gate.payload ?? "nothing"), line("EDITED to", gate.editedPayload)]
}

/** On a terminal ids and times are shortened; `--json` and a pipe have them whole. */
const columns = (whole: boolean) => [
  {
    title: "REQUEST",
    keep: true,
    value: ({ gate }: ListedGate) => (whole ? gate.requestId : gate.requestId.slice(0, 16))
  },
  { title: "STATE", keep: true, value: ({ gate }: ListedGate) => gate.state },
  { title: "AGENT", value: ({ gate }: ListedGate) => gate.agentId },
  { title: "ACTION", value: ({ gate }: ListedGate) => gate.kind },
  { title: "ASKED", keep: true, value: ({ gate }: ListedGate) => momentText(gate.createdAtMs, whole) },
  { title: "BY", value: ({ gate }: ListedGate) => (gate.approvers.length === 0 ? "-" : gate.approvers.join(", ")) }
]

const jsonOf = ({ earlierOutcome, gate, token, votes }: ListedGate) => {
  const { createdAtMs, decidedAtMs, decisionMac: _, expiresAtMs, keyId: __, matchKey: ___, ...rest } = gate
  return {
    ...rest,
    createdAt: isoOf(createdAtMs),
    expiresAt: isoOf(expiresAtMs),
    decidedAt: decidedAtMs === null ? null : isoOf(decidedAtMs),
    votes,
    earlierOutcome,
    token
  }
}
