import { Effect, Layer, ManagedRuntime } from "effect"
import type * as Host from "../../src/integrations/Host.ts"
import { Gates } from "../../src/services/Gates.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { FakeProvider, type FakeScript } from "../../src/testing/FakeProvider.ts"
import { capture, memory } from "../services/World.ts"
import { type AgentPolicies, agentId, governedAgent, halt, kinds, money, until } from "./Agent.ts"

export { agentId, rejection, sessionId, until } from "./Agent.ts"

type Services = Layer.Success<ReturnType<typeof memory>>

export interface FrameworkWorld extends AsyncDisposable {
  readonly provider: FakeProvider
  readonly governance: Host.Host
  readonly run: <A, E>(effect: Effect.Effect<A, E, Services>) => Promise<A>
  /** Nano-USD of the session: settled, and held by open calls. */
  readonly money: () => Promise<{ readonly spent: number; readonly held: number }>
  /** Waits until nothing is held any more, and says what was spent. */
  readonly spent: () => Promise<number>
  readonly kinds: () => Promise<ReadonlyArray<string>>
  readonly halt: () => Promise<unknown>
  /** What waits for a person now. */
  readonly cards: () => Promise<ReadonlyArray<{ readonly token: string; readonly requestId: string }>>
  readonly grant: (edited?: unknown) => Promise<unknown>
  readonly deny: () => Promise<unknown>
  readonly logged: (name: string) => ReadonlyArray<unknown>
}

export interface WorldOptions extends GovernanceOptions, AgentPolicies {
  readonly script?: FakeScript
  /** Other stores than those in memory. */
  readonly layer?: Layer.Layer<Services, unknown>
}

/** A provider on loopback, governance over it, and an agent that may do anything for ten dollars. */
export const openWorld = async (options: WorldOptions = {}): Promise<FrameworkWorld> => {
  const { budget, gated = [], layer, scope, script, ...settings } = options
  const log = capture()
  const provider = await FakeProvider.start(script ?? {})
  const runtime = ManagedRuntime.make(Layer.provideMerge(layer ?? memory(settings), log.layer))
  const run: FrameworkWorld["run"] = (effect) => runtime.runPromise(effect)
  const governance = await run(governedAgent({ budget, gated, scope }))
  const moneyNow = () => run(money())
  const cards = async () =>
    (await run(Gates.use((gates) => gates.list({ agentId })))).map(({ gate, token }) => ({
      token: token ?? "",
      requestId: gate.requestId
    }))
  const decide = (how: "grant" | "deny", more: object) =>
    run(
      Effect.gen(function* () {
        const gates = yield* Gates
        const [card] = yield* gates.list({ agentId })
        return yield* gates[how](card?.token ?? "", { by: "rita@example.org", reason: "seen", ...more })
      })
    )
  return {
    provider,
    governance,
    run,
    money: moneyNow,
    spent: async () => {
      await until(async () => (await moneyNow()).held === 0)
      return (await moneyNow()).spent
    },
    kinds: () => run(kinds()),
    halt: () => run(halt),
    cards,
    grant: (edited) => decide("grant", edited === undefined ? {} : { arguments: edited }),
    deny: () => decide("deny", {}),
    logged: log.named,
    [Symbol.asyncDispose]: async () => {
      await runtime.dispose()
      await provider.close()
    }
  }
}

/** The tag of a refusal, wherever in the causes of an error it is. */
export const tagOf = (error: unknown): string => {
  for (let at = error, i = 0; typeof at === "object" && at !== null && i < 8; i++) {
    if ("_tag" in at) return String(at._tag)
    const { cause, error }: { readonly cause?: unknown; readonly error?: unknown } = at
    at = cause ?? error
  }
  return String(error)
}
