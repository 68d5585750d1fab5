import { formatUsd } from "../../schema/Money.ts"
import {
  isStopped,
  namesOf,
  type Replay,
  type ReplayedCall,
  type ReplayedName,
  type ReplayedSession,
  type ReplayVerdict,
  replayVerdicts,
  totalsOf,
  type Verdicts
} from "../../schema/ReplayReport.ts"
import { terminalText } from "../../schema/TerminalText.ts"
import { counted } from "../CliFailure.ts"
import { table } from "../Table.ts"

/** What a person reads at the end of a replay: counts, what was stopped most, what it cost, and the first examples. */
export const replayText = (replay: Replay, name: string, width: number | undefined): string => {
  const totals = totalsOf(replay)
  const stopped = namesOf(replay.sessions).filter((one) => one.stopped > 0)
  const examples = examplesOf(replay.sessions)
  const blocks = [
    `${terminalText(name)}: ${counted(totals.sessions, "session")}, ${counted(totals.toolCalls, "tool call")}, ${counted(totals.llmCalls, "model call")}`,
    table(verdictColumns, verdictRows(totals.toolVerdicts, totals.llmVerdicts), width),
    totals.sessionsWithStop === 0
      ? "This policy would have stopped nothing."
      : `This policy would have stopped something in ${totals.sessionsWithStop} of ${counted(totals.sessions, "session")}.`,
    costText(totals.allowedUsd, totals.stoppedUsd, totals.estimatedCalls, totals.llmCalls),
    stopped.length === 0 ? "" : `Stopped most often\n${table(nameColumns, stopped.slice(0, shownNames), width)}`,
    examples.length === 0 ? "" : `For example\n${examples.map((one) => exampleText(one)).join("\n")}`,
    notes(totals.unnamedModel, totals.brokenArguments, replay)
  ]
  return blocks.filter((block) => block !== "").join("\n\n")
}

/** What a verdict is called where people read it. */
export const verdictName: Readonly<Record<ReplayVerdict, string>> = {
  allowed: "allowed",
  ScopeViolation: "not in the agent's scope",
  PolicyNotRegistered: "the agent has no scope policy",
  ApprovalPending: "would wait for approval",
  BudgetExceeded: "over budget",
  LoopDetected: "repeats itself",
  UnknownModelError: "model without a known price",
  InvalidInput: "arguments that cannot be checked",
  AgentHaltedError: "agent is halted"
}

interface VerdictRow {
  readonly verdict: ReplayVerdict
  readonly tools: number
  readonly models: number
}

const verdictRows = (tools: Verdicts, models: Verdicts): ReadonlyArray<VerdictRow> =>
  replayVerdicts
    .map((verdict) => ({ verdict, tools: tools[verdict], models: models[verdict] }))
    .filter((row) => row.verdict === "allowed" || row.tools + row.models > 0)

const verdictColumns = [
  { title: "VERDICT", keep: true, value: (row: VerdictRow) => verdictName[row.verdict] },
  { title: "TOOL CALLS", right: true, keep: true, value: (row: VerdictRow) => String(row.tools) },
  { title: "MODEL CALLS", right: true, keep: true, value: (row: VerdictRow) => String(row.models) }
]

const nameColumns = [
  { title: "TOOL OR MODEL", value: (one: ReplayedName) => one.name },
  { title: "STOPPED", right: true, keep: true, value: (one: ReplayedName) => `${one.stopped} of ${one.calls}` },
  { title: "WHY", value: (one: ReplayedName) => whyText(one.verdicts) }
]

const whyText = (verdicts: Verdicts) =>
  replayVerdicts
    .filter((verdict) => verdict !== "allowed" && verdicts[verdict] > 0)
    .map((verdict) => `${verdictName[verdict]} (${verdicts[verdict]})`)
    .join(", ")

const costText = (allowed: ReplayedCall["usd"], stopped: ReplayedCall["usd"], estimated: number, calls: number) => {
  if (calls === 0) return ""
  const source =
    estimated === 0
      ? "from the usage that was recorded"
      : estimated === calls
        ? "estimates: the recording has no usage, so tokens were counted from the text, on the high side"
        : `${estimated} of ${calls} model calls are estimates from the text, on the high side`
  const about = estimated === 0 ? "" : "about "
  return `Model calls that were allowed cost ${about}${cents(allowed)}; those that were stopped would have cost ${about}${cents(stopped)}.\n(${source})`
}

/** To the cent from 1 dollar up; below, exactly. */
const cents = (amount: ReplayedCall["usd"]) => {
  const text = formatUsd(amount)
  return amount >= 1_000_000_000n ? text.slice(0, text.indexOf(".") + 3) : text.slice(0, 8)
}

interface Example {
  readonly session: ReplayedSession
  readonly call: ReplayedCall
}

/** The first stopped call of each kind of verdict, so that ten examples are not ten times the same. */
const examplesOf = (sessions: ReadonlyArray<ReplayedSession>): ReadonlyArray<Example> => {
  const first = new Map<ReplayVerdict, Example>()
  for (const session of sessions) {
    for (const call of session.calls)
      if (isStopped(call) && !first.has(call.verdict)) first.set(call.verdict, { session, call })
  }
  return replayVerdicts.flatMap((verdict) => first.get(verdict) ?? [])
}

const exampleText = ({ call, session }: Example) =>
  `  session ${terminalText(session.id, 80)}, message ${call.message}${call.id === undefined ? "" : `, ${terminalText(call.id, 80)}`}\n    ${terminalText(call.reason ?? verdictName[call.verdict], 400)}`

const notes = (unnamedModel: number, brokenArguments: number, { skipped }: Replay) =>
  [
    ...(unnamedModel === 0
      ? []
      : [
          `${counted(unnamedModel, "model call")} left out: the recording does not name the model. Give it with --model.`
        ]),
    ...(brokenArguments === 0
      ? []
      : [
          `${counted(brokenArguments, "tool call")} with arguments that are no JSON: judged as the text that they are.`
        ]),
    ...skipped.slice(0, shownSkipped).map((one) => `line ${one.line} left out: it ${terminalText(one.problem, 300)}`),
    ...(skipped.length > shownSkipped ? [`${skipped.length - shownSkipped} more lines left out.`] : [])
  ].join("\n")

const shownNames = 10
const shownSkipped = 5
