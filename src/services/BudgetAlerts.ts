import { Clock, Config, DateTime, Effect, Layer, Option, Redacted, Semaphore, Stream } from "effect"
import { Hex } from "effect/encoding"
import { alertVariable } from "../schema/AlertAddress.ts"
import {
  type AlertRule,
  alertRuleOf,
  alertText,
  type BudgetAlert,
  crossings,
  isSessionCap
} from "../schema/BudgetAlert.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import type { AgentId, SessionId } from "../schema/Ids.ts"
import { Audit } from "./Audit.ts"
import { BudgetAlertStore } from "./BudgetAlertStore.ts"
import { BudgetMoves } from "./BudgetMoves.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { CostStore } from "./CostStore.ts"
import { Egress } from "./Egress.ts"
import { Lineages } from "./Lineages.ts"
import * as LogReader from "./LogReader.ts"
import { Policies } from "./Policies.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { secretProblem, signerOf, type WebhookSigner } from "./WebhookSigner.ts"

/**
 * Tells the receiver that a budget policy names when a cap is used up to its threshold, once a UTC day (WHK-01 to WHK-04). The
 * ends of calls are read from the log by one process of all, so no call waits for it and a restart forgets nothing.
 */
export const make = Effect.gen(function* () {
  const audit = yield* Audit
  const costs = yield* CostStore
  const egress = yield* Egress
  const lineages = yield* Lineages
  const policies = yield* Policies
  const store = yield* BudgetAlertStore
  const { hash } = yield* ChainKeys
  const { moves } = yield* BudgetMoves
  const places = Semaphore.makeUnsafe(maxAtOnce)
  /** What this process knows to be told already; the store knows it better. */
  const told = new Set<string>()

  const ruleOf = (agentId: AgentId): AlertRule | null => {
    const found = policies.get(agentId, "budget")
    return found === undefined ? null : alertRuleOf(found.policy)
  }

  const post = Effect.fnUntraced(function* (url: string, signer: WebhookSigner, id: string, body: string) {
    const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const headers = {
      "content-type": "application/json",
      "x-governance-timestamp": `${seconds}`,
      "x-governance-signature": `sha256=${signer.hmac(`${seconds}.${body}`)}`,
      ...signer.standard(id, seconds, body)
    }
    const response = yield* Effect.mapError(egress.post(url, { headers, body }), ({ message }) => message)
    if (response.status >= 300) return yield* Effect.fail(`the receiver answered ${response.status}`)
  })

  /** Fails with what was wrong, in words that hold no secret (WHK-04). */
  const send = Effect.fnUntraced(function* (rule: AlertRule, alert: BudgetAlert) {
    const url = yield* valueOf(rule.url)
    const signer = signerOf(Redacted.make(yield* valueOf(rule.secret)))
    if (signer === null) return yield* Effect.fail(`${alertVariable(rule.secret)} ${secretProblem}`)
    const id = `budget_${Hex.encode(hash(JSON.stringify([alert.agentId, alert.cap, alert.day]))).slice(0, 32)}`
    const body = alertText(alert, DateTime.formatIso(yield* DateTime.now))
    yield* Effect.catch(post(url, signer, id, body), () =>
      Effect.delay(post(url, signer, id, body), pauseBeforeTheSecond)
    ).pipe(places.withPermit)
  })

  const tell = Effect.fnUntraced(function* (rule: AlertRule, alert: BudgetAlert) {
    const { agentId, cap, day, sessionId, thresholdPct } = alert
    const outcome = yield* Effect.result(send(rule, alert))
    const dropped = outcome._tag === "Failure"
    const facts = { cap, day, thresholdPct, ...(dropped ? { problem: outcome.failure } : {}) }
    if (dropped) yield* Effect.logWarning("budget.alert_dropped", { agent: agentId, ...facts })
    yield* audit.note({
      kind: dropped ? "budget.alert_dropped" : "budget.alert_sent",
      agentId,
      sessionId: sessionId ?? undefined,
      metadata: facts
    })
  })

  const look = Effect.fnUntraced(function* (agentId: AgentId, sessionId: SessionId | null, rule: AlertRule) {
    const { thresholdPct } = rule
    const state = yield* costs.snapshot(agentId, sessionId)
    for (const { cap, limit, used } of crossings(state, thresholdPct)) {
      const session = isSessionCap(cap) ? (sessionId ?? "") : null
      const key = JSON.stringify([agentId, cap, session, state.day])
      if (told.has(key)) continue
      const mine = yield* store.claim({ agentId, cap, day: state.day, session })
      if (told.size >= maxRemembered) told.clear()
      told.add(key)
      if (mine) yield* tell(rule, { agentId, sessionId, cap, limit, used, thresholdPct, day: state.day })
    }
  })

  /** Every budget on the agent's path, since what it spends is spent of all of them (BEY-09). */
  const lookAlong = Effect.fnUntraced(function* (agentId: AgentId, sessionId: SessionId | null) {
    const { path } = yield* lineages.of(agentId)
    for (const each of path) {
      const rule = ruleOf(each)
      if (rule !== null) yield* look(each, sessionId, rule)
    }
    return path.some((each) => ruleOf(each) !== null)
  })
  const watched = (agentId: AgentId, sessionId: SessionId | null) =>
    Effect.catch(lookAlong(agentId, sessionId), (error) =>
      Effect.as(Effect.logWarning("budget.alert_unknown", { agent: agentId, problem: error.problem }), true)
    )

  const handle = Effect.fnUntraced(function* ({ agent, session }: ChainRow) {
    // The outcome is written beside its settlement, not after it: the amount may be a moment late.
    for (const pause of looksAfter) {
      yield* Effect.sleep(pause)
      if (!(yield* watched(agent, session))) return
    }
  })

  const concerns = ({ agent }: ChainRow) => {
    const lineage = lineages.cached(agent)
    return lineage === undefined || lineage.path.some((each) => ruleOf(each) !== null)
  }

  const follow = LogReader.drain({ reader: "budget-alerts", kinds, concerns, show: "latest", handle })
  // At once: what the host logs right after its start belongs to a new reader's present.
  yield* Effect.forkScoped(follow, { startImmediately: true })
  const listen = Stream.runForEach(Stream.groupedWithin(moves, maxMoves, "200 millis"), (some) => {
    const distinct = new Map(some.map((move) => [JSON.stringify([move.agentId, move.sessionId]), move])).values()
    return Effect.forEach(distinct, ({ agentId, sessionId }) => watched(agentId, sessionId), { concurrency: 8 })
  })
  yield* Effect.forkScoped(listen, { startImmediately: true })
})

export const layer = Layer.effectDiscard(make).pipe(Layer.provide(PooledRandom.layer))

/** The ends of calls, however they ended, and the refusals that only a spent budget makes. */
const kinds: ReadonlySet<string> = new Set([
  "tool.result",
  "api.result",
  "llm.result",
  "call.orphaned",
  "budget.exceeded"
])

/** Requests under way. */
const maxAtOnce = 8
const maxMoves = 1024
const maxRemembered = 10_000
const looksAfter = ["0 seconds", "1 second", "2 seconds"] as const
const pauseBeforeTheSecond = "1 second"

/** What an address of a policy stands for, in this process. */
const valueOf = Effect.fnUntraced(function* (address: string) {
  const name = alertVariable(address)
  if (name === null) return address
  const found = yield* Effect.orElseSucceed(Config.option(Config.Redacted(name)), () => Option.none())
  return Option.isSome(found) ? Redacted.value(found.value).trim() : yield* Effect.fail(`${name} is not set`)
})
