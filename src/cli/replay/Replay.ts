import { createHash } from "node:crypto"
import { Clock, DateTime, Effect, Result, Schema, Stream } from "effect"
import { AgentId, SessionId } from "../../schema/Ids.ts"
import type { PolicyEntry } from "../../schema/PolicyFileText.ts"
import { priceSource } from "../../schema/prices.generated.ts"
import { timelineOf } from "../../schema/RecordedSteps.ts"
import { agentOf, parseSession, type RecordedSession, sessionIdOf } from "../../schema/Recording.ts"
import type { Replay, ReplayedSession, SkippedLine } from "../../schema/ReplayReport.ts"
import { UsageError } from "../CliFailure.ts"
import { type Line, LineSplitter } from "./Lines.ts"
import * as RecordingClock from "./RecordingClock.ts"
import { register, replaySession } from "./ReplaySession.ts"
import * as ReplayWorld from "./ReplayWorld.ts"

export interface ReplayOptions {
  /** What messages call the recording. */
  readonly name: string
  readonly policy: { readonly text: string; readonly entries: ReadonlyArray<PolicyEntry> }
  /** The model of replies that name none. */
  readonly model?: string | undefined
  /** Leaves malformed lines out instead of stopping at the first. */
  readonly skipInvalid: boolean
  readonly onProgress: (bytes: number, sessions: number) => Effect.Effect<void>
}

/** Runs every session of a recording through fresh, real enforcement, in the order of the file. Holds one session at a time. */
export const replay = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>, options: ReplayOptions) => {
  const time = RecordingClock.make(firstMoment)
  return run(bytes, options, time).pipe(
    Effect.provide(ReplayWorld.layer, { local: true }),
    Effect.provideService(Clock.Clock, time.clock)
  )
}

/** Where a recording without times begins: the day of the price list, so that its prices are the ones in force. */
const firstMoment = DateTime.toEpochMillis(DateTime.makeUnsafe(`${priceSource.date}T00:00:00Z`))

const run = Effect.fnUntraced(function* <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  options: ReplayOptions,
  time: RecordingClock.RecordingClock
) {
  const splitter = new LineSplitter()
  const hash = createHash("sha256")
  const sessions: Array<ReplayedSession> = []
  const skipped: Array<SkippedLine> = []
  const agents = new Set<AgentId>()
  const ids = new Set<string>()
  let size = 0
  let calls = 0
  let now = firstMoment

  const one = Effect.fnUntraced(function* (line: Line) {
    const parsed = sessionOf(line, ids)
    if (Result.isFailure(parsed)) {
      if (!options.skipInvalid) return yield* invalidLine(options.name, line.number, parsed.failure)
      skipped.push({ line: line.number, problem: parsed.failure })
      return
    }
    const { agentId, session, sessionId } = parsed.success
    const timeline = timelineOf(session, now, options.model)
    calls += timeline.steps.length
    if (sessions.length >= maxSessions || calls > maxCalls || (agents.size >= maxAgents && !agents.has(agentId))) {
      return yield* tooMuch(options.name)
    }
    if (!agents.has(agentId)) {
      agents.add(agentId)
      yield* register(agentId, options.policy.entries)
    }
    const replayed = yield* replaySession({ agentId, sessionId }, timeline, time.set)
    now = timeline.endMs
    sessions.push({
      line: line.number,
      id: sessionId,
      agent: agentId,
      unnamedModel: timeline.unnamedModel,
      calls: replayed
    })
  })

  yield* Stream.runForEach(bytes, (piece) => {
    size += piece.length
    hash.update(piece)
    return Effect.forEach(splitter.push(piece), one, { discard: true }).pipe(
      Effect.andThen(Effect.suspend(() => options.onProgress(size, sessions.length)))
    )
  })
  yield* Effect.forEach(splitter.end(), one, { discard: true })
  if (sessions.length === 0) return yield* empty(options.name, skipped.length)
  const done: Replay = {
    input: { sha256: hash.digest("hex"), lines: sessions.length + skipped.length, bytes: size },
    policy: { sha256: createHash("sha256").update(options.policy.text).digest("hex") },
    prices: { name: priceSource.name, version: priceSource.version, date: priceSource.date },
    sessions,
    skipped
  }
  return done
})

interface Parsed {
  readonly session: RecordedSession
  readonly agentId: AgentId
  readonly sessionId: SessionId
}

const sessionOf = ({ content, number }: Line, ids: Set<string>): Result.Result<Parsed, string> =>
  Result.gen(function* () {
    const session = yield* parseSession(yield* content)
    const agentId = yield* named(decodeAgent(agentOf(session)), "its agent's name")
    const id = sessionIdOf(session, number)
    // One line is one session: a second one of the same name must not share its budget and its loop window.
    const sessionId = yield* named(decodeSession(ids.has(id) ? `${id} (line ${number})` : id), "its id")
    ids.add(id)
    return { session, agentId, sessionId }
  })

const decodeAgent = Schema.decodeUnknownResult(AgentId)
const decodeSession = Schema.decodeUnknownResult(SessionId)
const named = <A, E>(decoded: Result.Result<A, E>, what: string) =>
  Result.mapError(decoded, () => `is no session: ${what} must have 1 to 256 visible characters`)

const maxSessions = 100_000
const maxCalls = 500_000
const maxAgents = 10_000

const invalidLine = (name: string, line: number, problem: string) =>
  new UsageError({
    subject: `${name}, line ${line},`,
    problem,
    todo: "One session a line, as JSON with a list of OpenAI chat messages under `messages`. --skip-invalid leaves such lines out."
  })

const tooMuch = (name: string) =>
  new UsageError({
    subject: name,
    problem: `has more than ${maxSessions} sessions, ${maxCalls} calls or ${maxAgents} agents`,
    todo: "Split it and replay the parts."
  })

const empty = (name: string, skipped: number) =>
  new UsageError({
    subject: name,
    problem: skipped === 0 ? "has no sessions" : `has no usable session: all ${skipped} lines are malformed`,
    todo: "One session a line, as JSON with a list of OpenAI chat messages under `messages`."
  })
