import { Effect, Result, Schema } from "effect"
import { formatUsd, type NanoUsd, parseUsd, zeroUsd } from "../../schema/Money.ts"
import { type RecordedStep, timelineOf } from "../../schema/RecordedSteps.ts"
import { textOf } from "../../schema/Recording.ts"
import { Cost } from "../../services/Cost.ts"
import { Governor, type Refusal } from "../../services/Governor.ts"
import { Pricing } from "../../services/Pricing.ts"
import { approvalScene } from "./ApprovalScene.ts"
import { dollars, inPlainWords } from "./PlainWords.ts"
import { Screen } from "./Screen.ts"
import { type Scene, supportAgent } from "./Sessions.ts"

/** How many calls ran, and how many did not. */
export interface Played {
  readonly ran: number
  readonly stopped: number
}

/** Plays a recorded session through the governor and says what became of each call. */
export const play = Effect.fnUntraced(function* ({ session }: Scene) {
  const screen = yield* Screen
  const { steps } = timelineOf(session, 0)
  let ran = 0
  let stopped = 0
  for (const [at, message] of session.messages.entries()) {
    if (message.role === "user") yield* screen.aside(`  customer  "${textOf(message.content)}"`)
    for (const step of steps.filter((one) => one.message === at)) {
      const { label, run } = yield* call(session.agent, session.id, step)
      const outcome = yield* Effect.result(run)
      if (Result.isSuccess(outcome)) {
        ran += 1
        yield* screen.marked("allowed", label, outcome.success === zeroUsd ? "" : dollars(outcome.success))
      } else {
        stopped += 1
        yield* screen.marked(outcome.failure._tag === "ApprovalPending" ? "WAITS" : "STOPPED", label)
        yield* screen.because(inPlainWords(outcome.failure))
        if (outcome.failure._tag === "ApprovalPending") {
          yield* approvalScene(label, run)
          ran += 1
          stopped += 1
        }
      }
      if (step.kind === "llm" && step.text !== "") yield* screen.aside(`  agent     "${step.text}"`)
    }
  }
  const cost = yield* Cost
  const { sessionUsdRemaining, state } = yield* Effect.orDie(cost.snapshot(supportAgent, session.id))
  const left = sessionUsdRemaining === null ? "" : `; ${dollars(sessionUsdRemaining)} of its budget is left`
  yield* screen.aside(`  This conversation has cost ${dollars(state.sessionUsd)}${left}.`)
  const played: Played = { ran, stopped }
  return played
})

/** What a tool call looks like on one line, and what it costs by itself. */
export const toolCall = (tool: string, input: unknown) => {
  const { usd, ...rest } = Result.getOrElse(decodeArguments(input), (): Record<string, string> => ({}))
  return {
    label: `${tool.padEnd(16)}${Object.values(rest).join(", ")}`,
    usd: usd === undefined ? zeroUsd : Result.getOrElse(parseUsd(usd), () => zeroUsd)
  }
}

interface PlayedCall {
  readonly label: string
  /** Succeeds with what the call cost. */
  readonly run: Effect.Effect<NanoUsd, Refusal>
}

const call = Effect.fnUntraced(function* (agentId: string, sessionId: string, step: RecordedStep) {
  const governor = yield* Governor
  const pricing = yield* Pricing
  if (step.kind === "tool") {
    const { label, usd } = toolCall(step.tool, step.input)
    const options = { agentId, sessionId, tool: step.tool, input: step.input, ...once, maxUsd: formatUsd(usd).slice(1) }
    // The recorded answer is what the call returns: loop detection compares it.
    const run = governor.run(options, (ticket) => Effect.as(ticket.report({ usd }), step.result))
    const played: PlayedCall = {
      label: usd === zeroUsd ? label : `${label}, ${dollars(usd)}`,
      run: Effect.as(run, usd)
    }
    return played
  }
  const { usage } = step
  const { usd } = yield* Effect.orDie(pricing.price(usage))
  const options = { agentId, sessionId, model: usage.model, inputTokens: usage.inputTokens, maxTokens: 500 }
  const run = governor.run(options, (ticket) => ticket.report({ usage }))
  const played: PlayedCall = { label: `asks ${usage.model}`, run: Effect.as(run, usd) }
  return played
})

/** Does not wait for a person: the scene goes on, and shows what comes of it. */
const once = { approval: { wait: false } }

const decodeArguments = Schema.decodeUnknownResult(Schema.Record(Schema.String, Schema.String))
