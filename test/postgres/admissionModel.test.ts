import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, type Schema } from "effect"
import * as Memory from "../../src/layers/memory/Stores.ts"
import type { Admission, Settlement, Verdict } from "../../src/schema/Call.ts"
import type { AgentId } from "../../src/schema/Ids.ts"
import { NanoUsd } from "../../src/schema/Money.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { CostStore } from "../../src/services/CostStore.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import { exactly, newAgent, newSession, operator, request, type Stores } from "../../src/testing/StoreSet.ts"
import { freshDatabase, layerSql } from "../support/database.ts"
import { storesOver } from "./AdmissionRig.ts"

/** Small numbers from a seed, so that a failure can be repeated. */
const generator = (seed: number) => {
  let state = seed >>> 0
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Without what only one of the two clocks can say. */
const comparable = (verdict: Verdict) =>
  verdict._tag === "Admitted"
    ? { ...verdict, day: "" }
    : verdict._tag === "Halted"
      ? { _tag: verdict._tag, agent: verdict.halt.agentId, reason: verdict.halt.reason }
      : verdict

const rig = Layer.mergeAll(storesOver(), layerSql("owner")).pipe(Layer.provideMerge(freshDatabase))

layer(rig, { excludeTestServices: true, timeout: "120 seconds" })("Admission on Postgres and in memory", (it) => {
  it.effect.each([11, 22, 33, 44, 55, 66, 77, 88])(
    "say the same about any mix of calls, settlements, halts and retries, alone or in batches, and pass no cap (I4, BEY-01, BEY-09; seed %i)",
    (seed) =>
      Effect.gen(function* () {
        const pick = generator(seed)
        const memory: Context.Context<Stores> = yield* Layer.build(Layer.fresh(Memory.layer))
        const postgres = yield* Effect.context<Stores>()
        const both = <A>(run: (stores: Context.Context<Stores>) => Effect.Effect<A, unknown>) =>
          Effect.all([run(memory), run(postgres)])

        const agents: Array<{ id: AgentId; parent: AgentId | null }> = [{ id: newAgent(), parent: null }]
        for (let n = 0; n < 5; n++) agents.push({ id: newAgent(), parent: agents[pick(agents.length)]!.id })
        const root = agents[0]!.id
        for (const { id, parent } of agents) {
          const budget: Schema.JsonObject = {
            ...(pick(2) === 0 ? { perAgentUsdDaily: `0.00000${pick(9) + 1}` } : {}),
            ...(pick(2) === 0 ? { perSessionUsd: `0.00000${pick(9) + 1}` } : {}),
            ...(pick(3) === 0 ? { perSessionTokens: pick(60) + 5 } : {}),
            ...(pick(3) === 0 ? { perAgentTokensDaily: pick(90) + 5 } : {})
          }
          yield* both((stores) =>
            Effect.gen(function* () {
              yield* Context.get(stores, PresenceStore).enrol(id, parent)
              if (Object.keys(budget).length > 0)
                yield* Context.get(stores, PolicyStore).put({
                  agentId: id,
                  kind: "budget",
                  body: budget,
                  source: "code"
                })
              if (seed % 2 === 0) {
                const progress = { maxRepeats: 31, maxCycles: 3, polling: {} }
                const body = { windowSeconds: 3600, maxCalls: 6, action: seed % 4 === 0 ? "raise" : "log", progress }
                yield* Context.get(stores, PolicyStore).put({ agentId: id, kind: "loop", body, source: "code" })
              }
            })
          )
        }
        const sessions = [newSession(), newSession(), null]
        const open: Array<{ call: Admission; held: { usd: bigint; tokens: bigint } }> = []
        const all: Array<Admission> = []
        const seen = new Set<Verdict["_tag"]>()

        for (let round = 0; round < 40; round++) {
          if (pick(10) === 0) {
            const agentId = agents[pick(agents.length)]!.id
            const lift = pick(2) === 0
            yield* both((stores) => {
              const presence = Context.get(stores, PresenceStore)
              return lift
                ? Effect.forEach(agents, ({ id }) => presence.resume(id), { discard: true })
                : Effect.asVoid(presence.halt({ agentId, haltedBy: operator, reason: `round ${round}` }))
            })
          }
          const calls = Array.from({ length: pick(3) === 0 ? 1 : 1 + pick(12) }, (): Admission => {
            const again = all[pick(all.length * 8 + 1)]
            if (again !== undefined) return again
            const hold =
              pick(12) === 0 ? ({ _tag: "Remaining" } as const) : exactly(BigInt(pick(2500) * pick(2)), BigInt(pick(8)))
            return request(agents[pick(agents.length)]!.id, {
              root,
              hold,
              sessionId: sessions[pick(3)]!,
              tool: pick(2) === 0 ? null : `tool${pick(2)}`,
              signature: `call ${pick(4)}`
            })
          })
          const before = new Set(all)
          all.push(...calls.filter((call) => !all.includes(call)))
          const [ours, theirs] = yield* both((stores) =>
            Effect.forEach(calls, (call) => Context.get(stores, AdmissionStore).admit(call), {
              // In memory one after another: a batch MUST answer as if its calls had come in that order.
              concurrency: stores === memory ? 1 : "unbounded"
            })
          )
          // A retry sees the session's last calls as they are by now, and they are complete only where a policy looks at them.
          const first = (verdicts: ReadonlyArray<Verdict>) =>
            verdicts.map((verdict, n) =>
              verdict._tag === "Admitted" &&
              (seed % 2 !== 0 || calls[n]!.tool === null || before.has(calls[n]!) || calls.indexOf(calls[n]!) < n)
                ? comparable({ ...verdict, recent: [] })
                : comparable(verdict)
            )
          assert.deepStrictEqual(first(theirs), first(ours), `round ${round}`)
          theirs.forEach((verdict, n) => {
            seen.add(verdict._tag)
            const call = calls[n]!
            if (verdict._tag === "Admitted" && !open.some((each) => each.call === call))
              open.push({ call, held: { usd: verdict.heldUsd, tokens: verdict.heldTokens } })
          })

          const ending = Array.from({ length: pick(8) }, () => open[pick(open.length)]).flatMap((each, n, list) =>
            each === undefined || list.indexOf(each) !== n ? [] : [each]
          )
          const settlements = ending.map(({ held }): Settlement => {
            switch (pick(5)) {
              case 0:
                return { _tag: "Refused" }
              case 1:
                return { _tag: "Held", resultHash: "held" }
              case 2:
                return { _tag: "Orphaned" }
              default:
                return {
                  _tag: "Spent",
                  usd: NanoUsd.make(held.usd / 2n),
                  tokens: held.tokens / 3n,
                  model: pick(2) === 0 ? null : "other",
                  resultHash: `r${pick(3)}`
                }
            }
          })
          const [settledHere, settledThere] = yield* both((stores) =>
            Effect.forEach(
              ending,
              ({ call }, n) => Context.get(stores, AdmissionStore).settle(root, call.ticket, settlements[n]!),
              {
                concurrency: stores === memory ? 1 : "unbounded"
              }
            )
          )
          assert.deepStrictEqual(settledThere, settledHere, `round ${round}`)
        }

        for (const { id } of agents) {
          for (const session of sessions) {
            const [here, there] = yield* both((stores) => Context.get(stores, CostStore).snapshot(id, session))
            assert.deepStrictEqual({ ...there, day: "" }, { ...here, day: "" })
            for (const { limit, used } of there.caps) assert.isTrue(used <= limit)
          }
          const byName = (a: { readonly model: string }, b: { readonly model: string }) => (a.model < b.model ? -1 : 1)
          const [here, there] = yield* both((stores) => Context.get(stores, CostStore).breakdown(id))
          assert.deepStrictEqual(there.toSorted(byName), here.toSorted(byName))
        }

        // The counters are the sum of the tickets below them, exactly.
        const sql = yield* PgClient.PgClient
        const drift = yield* sql`
          SELECT c.agent, c.scope FROM governance_cost_counters c CROSS JOIN LATERAL (
             SELECT coalesce(sum(t.settled_usd), 0) AS used_usd, coalesce(sum(t.held_usd) FILTER (WHERE t.state = 'open'), 0) AS held_usd,
                    coalesce(sum(t.settled_tokens), 0) AS used_tokens,
                    coalesce(sum(t.held_tokens) FILTER (WHERE t.state = 'open'), 0) AS held_tokens
               FROM governance_tickets t JOIN governance_agents a ON a.agent = t.agent
              WHERE t.root = c.root AND c.agent = ANY (a.path) AND c.scope IN ('s:' || t.session, 'd:' || t.day)) s
           WHERE c.root = ${root} AND (c.used_usd <> s.used_usd OR c.held_usd <> s.held_usd
             OR c.used_tokens <> s.used_tokens OR c.held_tokens <> s.held_tokens)`
        assert.strictEqual(drift.length, 0)
        // The mix was one: something was admitted, and something refused.
        assert.isAbove(seen.size, 1)
      })
  )
})
