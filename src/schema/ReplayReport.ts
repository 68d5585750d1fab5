import { formatUsd, NanoUsd } from "./Money.ts"

/** What would have become of a call: `allowed`, or the name of the refusal. */
export type ReplayVerdict =
  | "allowed"
  | "ScopeViolation"
  | "PolicyNotRegistered"
  | "ApprovalPending"
  | "BudgetExceeded"
  | "LoopDetected"
  | "UnknownModelError"
  | "InvalidInput"
  | "AgentHaltedError"

/** In the order of reports; a verdict that never came up is counted as 0. */
export const replayVerdicts: ReadonlyArray<ReplayVerdict> = [
  "allowed",
  "ScopeViolation",
  "PolicyNotRegistered",
  "ApprovalPending",
  "BudgetExceeded",
  "LoopDetected",
  "UnknownModelError",
  "InvalidInput",
  "AgentHaltedError"
]

/** One recorded call and its verdict. */
export interface ReplayedCall {
  /** The position of the message in its session, from 0. */
  readonly message: number
  readonly kind: "llm" | "tool"
  /** The tool, or the model. */
  readonly name: string
  /** The recording's own id of a tool call. */
  readonly id?: string
  readonly verdict: ReplayVerdict
  readonly reason?: string
  /** What it cost, or would have cost where it was refused. */
  readonly usd: NanoUsd
  /** True when the tokens were counted from the text. */
  readonly estimated?: true
  /** True when the arguments were no JSON. */
  readonly brokenArguments?: true
}

export interface ReplayedSession {
  readonly line: number
  readonly id: string
  readonly agent: string
  readonly calls: ReadonlyArray<ReplayedCall>
  /** Replies of a model that nobody named. */
  readonly unnamedModel: number
}

export interface SkippedLine {
  readonly line: number
  readonly problem: string
}

/** Everything that a replay says: facts of the inputs and the recording, nothing of now, so that it is the same each time. */
export interface Replay {
  readonly input: { readonly sha256: string; readonly lines: number; readonly bytes: number }
  readonly policy: { readonly sha256: string }
  readonly prices: { readonly name: string; readonly version: string; readonly date: string }
  readonly sessions: ReadonlyArray<ReplayedSession>
  readonly skipped: ReadonlyArray<SkippedLine>
}

export interface ReplayTotals {
  readonly sessions: number
  readonly sessionsWithStop: number
  readonly skippedLines: number
  readonly llmCalls: number
  readonly toolCalls: number
  /** Replies that were left out because neither session nor message names a model. */
  readonly unnamedModel: number
  readonly brokenArguments: number
  readonly verdicts: Verdicts
  readonly llmVerdicts: Verdicts
  readonly toolVerdicts: Verdicts
  readonly allowedUsd: NanoUsd
  /** What the refused calls of models would have cost. */
  readonly stoppedUsd: NanoUsd
  /** Model calls whose tokens were counted from the text. */
  readonly estimatedCalls: number
  readonly costs: "recorded" | "estimated" | "partly estimated"
}
export type Verdicts = Readonly<Record<ReplayVerdict, number>>

export interface ReplayedName {
  readonly kind: "llm" | "tool"
  readonly name: string
  readonly calls: number
  readonly stopped: number
  readonly verdicts: Verdicts
}

export const isStopped = (call: ReplayedCall): boolean => call.verdict !== "allowed"

export const totalsOf = (replay: Pick<Replay, "sessions" | "skipped">): ReplayTotals => {
  const calls = replay.sessions.flatMap((session) => session.calls)
  const llm = calls.filter((call) => call.kind === "llm")
  const tools = calls.filter((call) => call.kind === "tool")
  const estimatedCalls = llm.filter((call) => call.estimated).length
  return {
    sessions: replay.sessions.length,
    sessionsWithStop: replay.sessions.filter((session) => session.calls.some(isStopped)).length,
    skippedLines: replay.skipped.length,
    llmCalls: llm.length,
    toolCalls: tools.length,
    unnamedModel: replay.sessions.reduce((sum, session) => sum + session.unnamedModel, 0),
    brokenArguments: calls.filter((call) => call.brokenArguments).length,
    verdicts: tally(calls),
    llmVerdicts: tally(llm),
    toolVerdicts: tally(tools),
    allowedUsd: sum(calls.filter((call) => !isStopped(call))),
    stoppedUsd: sum(calls.filter(isStopped)),
    estimatedCalls,
    costs: estimatedCalls === 0 ? "recorded" : estimatedCalls === llm.length ? "estimated" : "partly estimated"
  }
}

/** Every model and tool of the recording, the most often stopped first, then by name. */
export const namesOf = (sessions: ReadonlyArray<ReplayedSession>): ReadonlyArray<ReplayedName> => {
  const byName = new Map<string, Array<ReplayedCall>>()
  for (const call of sessions.flatMap((session) => session.calls)) {
    const key = `${call.kind} ${call.name}`
    const known = byName.get(key)
    if (known === undefined) byName.set(key, [call])
    else known.push(call)
  }
  return [...byName.values()]
    .map((calls) => ({
      kind: calls[0]!.kind,
      name: calls[0]!.name,
      calls: calls.length,
      stopped: calls.filter(isStopped).length,
      verdicts: tally(calls)
    }))
    .sort((a, b) => b.stopped - a.stopped || compare(a.kind, b.kind) || compare(a.name, b.name))
}

/** The form for machines: dollars as decimal text, keys always in this order. */
export const replayJson = (replay: Replay) => {
  const { allowedUsd, stoppedUsd, ...counts } = totalsOf(replay)
  return {
    format: "effect-governance/replay/1",
    input: replay.input,
    policy: replay.policy,
    prices: replay.prices,
    totals: { ...counts, allowedUsd: decimal(allowedUsd), stoppedUsd: decimal(stoppedUsd) },
    names: namesOf(replay.sessions),
    sessions: replay.sessions.map(({ calls, ...session }) => ({
      ...session,
      stopped: calls.filter(isStopped).length,
      calls: calls.map((call) => ({ ...call, usd: decimal(call.usd) }))
    })),
    skipped: replay.skipped
  }
}

const tally = (calls: ReadonlyArray<ReplayedCall>): Verdicts => {
  const counts = { ...none }
  for (const call of calls) counts[call.verdict] += 1
  return counts
}

const none: Record<ReplayVerdict, number> = {
  allowed: 0,
  ScopeViolation: 0,
  PolicyNotRegistered: 0,
  ApprovalPending: 0,
  BudgetExceeded: 0,
  LoopDetected: 0,
  UnknownModelError: 0,
  InvalidInput: 0,
  AgentHaltedError: 0
}

const sum = (calls: ReadonlyArray<ReplayedCall>): NanoUsd =>
  NanoUsd.make(calls.reduce((all, call) => all + call.usd, 0n))
const decimal = (amount: NanoUsd) => formatUsd(amount).slice(1)
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
