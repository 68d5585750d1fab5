import { appendFileSync } from "node:fs"
import { Effect } from "effect"
import type { Gates } from "../../src/services/Gates.ts"
import type { Governor } from "../../src/services/Governor.ts"
import type { Command } from "./Commands.ts"

type CommandOf<D extends Command["do"]> = Extract<Command, { readonly do: D }>
const call = (agentId: string, n: number) => ({ agentId, tool: "pay", input: { n } })
const atOnce = (agentId: string, n: number) => ({ ...call(agentId, n), approval: { wait: false } })
const times = (count: number) => Array.from({ length: count }, (_, i) => i)

export const ask = Effect.fnUntraced(function* (
  governor: Governor["Service"],
  gates: Gates["Service"],
  { agent, count }: CommandOf<"ask">
) {
  yield* Effect.forEach(times(count), (n) => Effect.exit(governor.run(atOnce(agent, n), () => Effect.void)))
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
  const one = Effect.ignore(governor.run(atOnce(agent, n), () => Effect.sync(() => void ran++)))
  yield* Effect.forEach(times(racers), () => one, { concurrency: "unbounded", discard: true })
  return { ran }
})

/** The act is a line that is in the file as soon as it is done. */
export const pay = (governor: Governor["Service"], { agent, file, n, stops }: CommandOf<"pay">) => {
  const act = Effect.sync(() => appendFileSync(file, `${process.pid} paid ${n}\n`))
  return Effect.match(
    governor.run(call(agent, n), () => (stops ? Effect.andThen(Effect.never, act) : act)),
    {
      onFailure: ({ _tag }) => ({ end: _tag }),
      onSuccess: () => ({ end: "paid" })
    }
  )
}

export const cards = (gates: Gates["Service"], { agent }: CommandOf<"cards">) =>
  Effect.map(gates.list({ agentId: agent }), (listed) => ({
    cards: listed.map(({ earlierOutcome, gate, token }) => ({
      ...{ request: gate.requestId, token: token ?? "", earlier: gate.earlier, outcome: earlierOutcome }
    }))
  }))
