/** What the store contract suites share: the set of stores under test, the clock that drives them, and requests with fresh ids. */
import { layer as layerTest, type Vitest } from "@effect/vitest"
import { Effect, type Layer, type Schema } from "effect"
import { TestClock } from "effect/testing"
import type { Admission, Hold, Settlement, Verdict } from "../schema/Call.ts"
import { AgentId, OperatorId, SessionId, TicketId } from "../schema/Ids.ts"
import { NanoUsd } from "../schema/Money.ts"
import type { PolicyKind } from "../schema/Policy.ts"
import type { AdmissionStore } from "../services/AdmissionStore.ts"
import type { CostStore } from "../services/CostStore.ts"
import type { GateStore } from "../services/GateStore.ts"
import type { LoopStore } from "../services/LoopStore.ts"
import { PolicyStore } from "../services/PolicyStore.ts"
import { PresenceStore } from "../services/PresenceStore.ts"

/** The stores that share state. A suite needs all of them from one layer. */
export type Stores = AdmissionStore | CostStore | GateStore | LoopStore | PolicyStore | PresenceStore

/**
 * How time passes for the store under test. `test`: `TestClock` is its clock, so hours cost nothing. `database`: its own clock
 * runs, tests use leases and windows of a second or less, and what needs hours is left out.
 */
export interface StoreClock {
  readonly clock: "test" | "database"
  readonly advance: (ms: number) => Effect.Effect<void>
}

export const testClock: StoreClock = { clock: "test", advance: (ms) => TestClock.adjust(ms) }
export const databaseClock: StoreClock = { clock: "database", advance: (ms) => Effect.sleep(ms) }

/** Registers the tests of a suite; with a database's clock they run on real time. */
export const describeStores = <E>(
  name: string,
  stores: Layer.Layer<Stores, E>,
  { clock }: StoreClock,
  tests: (it: Vitest.MethodsNonLive<Stores>) => void
) => layerTest(stores, { excludeTestServices: clock === "database", timeout: "60 seconds" })(name, tests)

let made = 0
const run = globalThis.crypto.randomUUID().slice(0, 8)
const fresh = (kind: string) => `${kind}-${run}-${++made}`

// Suites may share one database, so nothing in it is named twice.
export const newAgent = (): AgentId => AgentId.make(fresh("agent"))
export const newSession = (): SessionId => SessionId.make(fresh("session"))
export const newTicket = (): TicketId => TicketId.make(globalThis.crypto.randomUUID())
export const operator: OperatorId = OperatorId.make("operator@example.org")

/** Whole millionths of a dollar. */
export const micro = (amount: number | bigint): NanoUsd => NanoUsd.make(BigInt(amount) * 1000n)
export const exactly = (usd: bigint, tokens: bigint | number = 0n): Hold => ({
  _tag: "Exact",
  usd: NanoUsd.make(usd),
  tokens: BigInt(tokens)
})

/** An admission of a root that holds one micro-dollar and one token for a minute. */
export const request = (agentId: AgentId, changes: Partial<Admission> = {}): Admission => ({
  ticket: newTicket(),
  root: agentId,
  agentId,
  sessionId: null,
  tool: null,
  signature: "signature",
  hold: exactly(micro(1), 1n),
  leaseMs: 60_000,
  facts: { kind: "llm", name: "llm", model: "gpt-4o", inputHash: null },
  ...changes
})

/** A new root agent with its row in place. */
export const enrolled = Effect.gen(function* () {
  const agentId = newAgent()
  const presence = yield* PresenceStore
  yield* presence.enrol(agentId, null)
  return agentId
})

/** A new delegate with its row in place. */
export const delegateOf = Effect.fnUntraced(function* (parent: AgentId) {
  const agentId = newAgent()
  const presence = yield* PresenceStore
  const result = yield* presence.enrol(agentId, parent)
  return result._tag === "Enrolled" ? agentId : yield* Effect.die(new Error(`not enrolled: ${result._tag}`))
})

export const policy = Effect.fnUntraced(function* (agentId: AgentId, kind: PolicyKind, body: Schema.Json) {
  const policies = yield* PolicyStore
  return yield* policies.put({ agentId, kind, body, source: "code" })
})

/** A root with the given caps: amounts in dollars as decimal text, tokens and seconds as numbers. */
export const withBudget = Effect.fnUntraced(function* (budget: Schema.JsonObject) {
  const agentId = yield* enrolled
  yield* policy(agentId, "budget", budget)
  return agentId
})

export const spent = (usd: bigint, tokens: bigint | number = 0n, resultHash: string | null = null): Settlement => ({
  _tag: "Spent",
  usd: NanoUsd.make(usd),
  tokens: BigInt(tokens),
  model: "gpt-4o",
  resultHash
})

export const tags = (verdicts: ReadonlyArray<Verdict>) => ({
  admitted: verdicts.filter(({ _tag }) => _tag === "Admitted").length,
  short: verdicts.filter(({ _tag }) => _tag === "Short").length
})
