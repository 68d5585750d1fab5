/** Delegation trees against an oracle in plain integers: no tree of agents spends more than any cap above it (BEY-09). */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import { NanoUsd } from "../schema/Money.ts"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import { CostStore } from "../services/CostStore.ts"
import { delegateOf, enrolled, exactly, policy, request, type Stores } from "./StoreSet.ts"

const small = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThanOrEqualTo(1_000))
const Step = Schema.Struct({
  act: Schema.Literals(["spawn", "call", "call", "call", "settle"]),
  agent: small,
  amount: small,
  /** Whether a spawned agent has a cap of its own. */
  capped: Schema.Boolean
})
const Steps = Schema.Array(Step).check(Schema.isMinLength(1), Schema.isMaxLength(40))
type Steps = typeof Steps.Type

export const delegationTests = (runs: number) => (it: Vitest.MethodsNonLive<Stores>) => {
  it.effect.prop(
    "decides every call of a random spawn tree as the oracle does (BEY-09, BEY-01)",
    { rootCap: small, steps: Steps },
    ({ rootCap, steps }) => sequential(BigInt(rootCap), steps),
    { arbitrary: { runs } }
  )

  it.effect.prop(
    "never lets a random spawn tree exceed the root's cap when everything runs at once (BEY-09, I4)",
    { rootCap: small, steps: Steps },
    ({ rootCap, steps }) => concurrent(BigInt(rootCap), steps),
    { arbitrary: { runs } }
  )

  it.effect("names the agent whose cap is short, the nearest to the root first (BEY-09)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const root = yield* enrolled
      const child = yield* delegateOf(root)
      yield* policy(root, "budget", { perAgentUsdDaily: "0.00001" })
      yield* policy(child, "budget", { perAgentUsdDaily: "0.000002" })
      const ask = (usd: bigint) => store.admit(request(child, { root, hold: exactly(usd) }))
      const refusals = [yield* ask(3_000n), yield* ask(11_000n)]
      assert.deepStrictEqual(
        refusals.map((verdict) =>
          verdict._tag === "Short" ? [verdict.short.policyOf, verdict.requested] : verdict._tag
        ),
        [
          [child, 3_000n],
          [root, 11_000n]
        ]
      )
    })
  )

  it.effect("charges the whole path when a delegate's call is settled (BEY-09)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const costs = yield* CostStore
      const root = yield* enrolled
      const child = yield* delegateOf(root)
      const sibling = yield* delegateOf(root)
      const ask = request(child, { root, hold: exactly(9n, 9n) })
      yield* store.admit(ask)
      assert.strictEqual((yield* costs.snapshot(root, null)).heldUsd, 9n)
      yield* store.settle(root, ask.ticket, {
        _tag: "Spent",
        usd: NanoUsd.make(5n),
        tokens: 4n,
        model: "gpt-4o",
        resultHash: null
      })
      const used = yield* Effect.forEach([root, child, sibling], (agentId) => costs.snapshot(agentId, null))
      assert.deepStrictEqual(
        used.map(({ dailyTokens, dailyUsd, heldUsd, sessionUsd }) => [dailyUsd, sessionUsd, dailyTokens, heldUsd]),
        [
          [5n, 5n, 4n, 0n],
          [5n, 5n, 4n, 0n],
          [0n, 0n, 0n, 0n]
        ]
      )
      assert.deepStrictEqual(yield* costs.breakdown(root), [{ model: "gpt-4o", usd: NanoUsd.make(5n), tokens: 4n }])
    })
  )
}

interface OracleAgent {
  readonly agentId: AgentId
  readonly path: ReadonlyArray<OracleAgent>
  readonly cap: bigint | null
  used: bigint
}

const nanoText = (amount: bigint) => `0.${amount.toString().padStart(9, "0")}`

const rootWith = Effect.fnUntraced(function* (cap: bigint) {
  const agentId = yield* enrolled
  yield* policy(agentId, "budget", { perAgentUsdDaily: nanoText(cap) })
  const path: Array<OracleAgent> = []
  const root: OracleAgent = { agentId, path, cap, used: 0n }
  path.push(root)
  return root
})

const spawn = Effect.fnUntraced(function* (parent: OracleAgent, cap: bigint | null) {
  const agentId = yield* delegateOf(parent.agentId)
  if (cap !== null) yield* policy(agentId, "budget", { perAgentUsdDaily: nanoText(cap) })
  const path = [...parent.path]
  const agent: OracleAgent = { agentId, path, cap, used: 0n }
  path.push(agent)
  return agent
})

const sequential = Effect.fnUntraced(function* (rootCap: bigint, steps: Steps) {
  const store = yield* AdmissionStore
  const root = yield* rootWith(rootCap)
  const agents = [root]
  const open: Array<{ readonly agent: OracleAgent; readonly ask: ReturnType<typeof request>; readonly held: bigint }> =
    []
  for (const { act, agent: pick, amount, capped } of steps) {
    const agent = agents[pick % agents.length]!
    const nano = BigInt(amount)
    if (act === "spawn" && agent.path.length < 16) agents.push(yield* spawn(agent, capped ? nano : null))
    if (act === "call") {
      const ask = request(agent.agentId, { root: root.agentId, hold: exactly(nano) })
      const fits = agent.path.every(({ cap, used }) => cap === null || (used < cap && used + nano <= cap))
      const verdict = yield* store.admit(ask)
      assert.strictEqual(verdict._tag, fits ? "Admitted" : "Short")
      if (!fits) continue
      for (const each of agent.path) each.used += nano
      open.push({ agent, ask, held: nano })
    }
    const ended = act === "settle" ? open.shift() : undefined
    if (ended === undefined) continue
    const charged = ended.held / 2n
    yield* store.settle(root.agentId, ended.ask.ticket, {
      ...{ _tag: "Spent", usd: NanoUsd.make(charged), tokens: 0n, model: null, resultHash: null }
    })
    for (const each of ended.agent.path) each.used += charged - ended.held
  }
  const costs = yield* CostStore
  for (const { agentId, used } of agents) {
    const now = yield* costs.snapshot(agentId, null)
    assert.strictEqual(now.dailyUsd + now.heldUsd, used)
  }
})

const concurrent = Effect.fnUntraced(function* (rootCap: bigint, steps: Steps) {
  const store = yield* AdmissionStore
  const root = yield* rootWith(rootCap)
  const agents = [root]
  for (const { act, agent: pick, amount, capped } of steps) {
    const parent = agents[pick % agents.length]!
    if (act === "spawn" && parent.path.length < 16) agents.push(yield* spawn(parent, capped ? BigInt(amount) : null))
  }
  const admitted = yield* Effect.forEach(
    steps,
    Effect.fnUntraced(function* ({ agent: pick, amount }) {
      const agent = agents[pick % agents.length]!
      const verdict = yield* store.admit(request(agent.agentId, { root: root.agentId, hold: exactly(BigInt(amount)) }))
      return verdict._tag === "Admitted" ? { agent, amount: BigInt(amount) } : null
    }),
    { concurrency: "unbounded" }
  )
  for (const call of admitted) if (call !== null) for (const each of call.agent.path) each.used += call.amount
  for (const { cap, used } of agents) assert.isTrue(cap === null || used <= cap)
})
