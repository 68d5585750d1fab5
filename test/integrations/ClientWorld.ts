import { Effect, Layer, ManagedRuntime } from "effect"
import type * as Host from "../../src/integrations/Host.ts"
import type * as Postgres from "../../src/layers/Postgres.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { FakeProvider, type FakeScript } from "../../src/testing/FakeProvider.ts"
import { capture, memory } from "../services/World.ts"
import { type AgentPolicies, governedAgent, halt, kinds, money, until } from "./Agent.ts"

export { agentId, rejection, sessionId, until } from "./Agent.ts"

/** What stores of both kinds give. */
type Services = Extract<Layer.Success<ReturnType<typeof memory>>, Layer.Success<ReturnType<typeof Postgres.layer>>>

export interface ClientWorld extends AsyncDisposable {
  readonly provider: FakeProvider
  readonly governance: Host.Host
  readonly run: <A, E>(effect: Effect.Effect<A, E, Services>) => Promise<A>
  /** Nano-USD of the session: settled, and held by open calls. */
  readonly money: (session?: string) => Promise<{ readonly spent: number; readonly held: number }>
  /** Waits until nothing is held any more, and says what was spent. */
  readonly spent: (session?: string) => Promise<number>
  readonly kinds: (session?: string) => Promise<ReadonlyArray<string>>
  readonly halt: () => Promise<unknown>
  readonly logged: (name: string) => ReadonlyArray<unknown>
}

export interface WorldOptions extends GovernanceOptions, AgentPolicies {
  readonly script?: FakeScript
  /** With routing, and with coverage that looks at the provider's address. */
  readonly measured?: boolean
  /** Other stores than those in memory. */
  readonly layer?: Layer.Layer<Services, unknown>
}

/** A provider on loopback, governance over it, and an agent that may do anything for ten dollars. */
export const openWorld = async (options: WorldOptions = {}): Promise<ClientWorld> => {
  const { budget, gated, layer, measured, scope, script, ...settings } = options
  const log = capture()
  const provider = await FakeProvider.start(script ?? {})
  const measuring = {
    ...{ enableRouting: true, enableCoverage: true, workspaceSalt: "sixteen characters" },
    coverageHosts: [new URL(provider.url).host]
  }
  const stores = layer ?? memory({ ...settings, ...(measured === true ? measuring : {}) })
  const runtime = ManagedRuntime.make(Layer.provideMerge(stores, log.layer))
  const run: ClientWorld["run"] = (effect) => runtime.runPromise(effect)
  const governance = await run(governedAgent({ budget, gated, scope }))
  const moneyOf = (session?: string) => run(money(session))
  return {
    provider,
    governance,
    run,
    money: moneyOf,
    spent: async (session) => {
      await until(async () => (await moneyOf(session)).held === 0)
      return (await moneyOf(session)).spent
    },
    kinds: (session) => run(kinds(session)),
    halt: () => run(halt),
    logged: log.named,
    [Symbol.asyncDispose]: async () => {
      await runtime.dispose()
      await provider.close()
    }
  }
}

/** Governance that takes 600 ms for every answer. */
export const slowly = (governance: Host.Host): Host.Host => ({
  run: (effect) => governance.run(Effect.delay(effect, "600 millis"))
})
