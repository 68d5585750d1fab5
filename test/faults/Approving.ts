import { Effect } from "effect"
import type { Gates } from "../../src/services/Gates.ts"
import type { Governor } from "../../src/services/Governor.ts"
import type { Command } from "./Commands.ts"

type CommandOf<D extends Command["do"]> = Extract<Command, { readonly do: D }>
const pay = (agentId: string, n: number) => ({ agentId, tool: "pay", input: { n }, approval: { wait: false } })
const times = (count: number) => Array.from({ length: count }, (_, i) => i)

export const ask = Effect.fnUntraced(function* (
  governor: Governor["Service"],
  gates: Gates["Service"],
  { agent, count }: CommandOf<"ask">
) {
  yield* Effect.forEach(times(count), (n) => Effect.exit(governor.run(pay(agent, n), () => Effect.void)))
  const cards = yield* gates.list({ agentId: agent })
  const inOrder = [...cards].sort((a, b) => numberOf(a.gate.payload) - numberOf(b.gate.payload))
  return { tokens: inOrder.map(({ token }) => token ?? "") }
})

const numberOf = (payload: string | null): number => JSON.parse(payload ?? "{}").n

export const grant = Effect.fnUntraced(function* (gates: Gates["Service"], { racers, token }: CommandOf<"grant">) {
  let granted = 0
  const one = (i: number) =>
    Effect.ignore(
      Effect.tap(gates.grant(token, { by: `person-${process.pid}-${i}` }), () => Effect.sync(() => void granted++))
    )
  yield* Effect.forEach(times(racers), one, { concurrency: "unbounded", discard: true })
  return { granted }
})

export const use = Effect.fnUntraced(function* (governor: Governor["Service"], { agent, n, racers }: CommandOf<"use">) {
  let ran = 0
  const one = Effect.ignore(governor.run(pay(agent, n), () => Effect.sync(() => void ran++)))
  yield* Effect.forEach(times(racers), () => one, { concurrency: "unbounded", discard: true })
  return { ran }
})
