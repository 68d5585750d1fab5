import { Effect, Layer, ManagedRuntime } from "effect"
import * as Host from "../../src/integrations/Host.ts"
import type * as Postgres from "../../src/layers/Postgres.ts"
import type { ScopePolicyInput } from "../../src/schema/AgentScope.ts"
import type { BudgetPolicyInput } from "../../src/schema/Cost.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Presence } from "../../src/services/Presence.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { FakeProvider, type FakeScript } from "../../src/testing/FakeProvider.ts"
import { capture, memory } from "../services/World.ts"

export const agentId = "clerk"
export const sessionId = "s1"

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

export interface WorldOptions extends GovernanceOptions {
  readonly script?: FakeScript
  readonly scope?: Partial<ScopePolicyInput>
  readonly budget?: BudgetPolicyInput
  /** With routing, and with coverage that looks at the provider's address. */
  readonly measured?: boolean
  /** Other stores than those in memory. */
  readonly layer?: Layer.Layer<Services, unknown>
}

/** A provider on loopback, governance over it, and an agent that may do anything for ten dollars. */
export const openWorld = async (options: WorldOptions = {}): Promise<ClientWorld> => {
  const { budget = { perSessionUsd: 10 }, layer, measured, scope, script, ...settings } = options
  const log = capture()
  const provider = await FakeProvider.start(script ?? {})
  const measuring = {
    ...{ enableRouting: true, enableCoverage: true, workspaceSalt: "sixteen characters" },
    coverageHosts: [new URL(provider.url).host]
  }
  const stores = layer ?? memory({ ...settings, ...(measured === true ? measuring : {}) })
  const runtime = ManagedRuntime.make(Layer.provideMerge(stores, log.layer))
  const run: ClientWorld["run"] = (effect) => runtime.runPromise(effect)
  const governance = await run(
    Effect.gen(function* () {
      yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"], ...scope })
      yield* (yield* Cost).register({ agentId, ...budget })
      return yield* Host.make
    })
  )
  const money = (session = sessionId) =>
    run(
      Effect.map(
        Cost.use((cost) => cost.snapshot(agentId, session)),
        ({ state }) => ({ spent: Number(state.sessionUsd), held: Number(state.heldUsd) })
      )
    )
  return {
    provider,
    governance,
    run,
    money,
    spent: async (session) => {
      await until(async () => (await money(session)).held === 0)
      return (await money(session)).spent
    },
    kinds: (session = sessionId) =>
      run(
        Effect.map(
          Audit.use((audit) => audit.traceSessionChain(session)),
          (rows) => rows.map(({ kind }) => kind)
        )
      ),
    halt: () => run(Presence.use((presence) => presence.halt(agentId, { by: "ada", reason: "stop" }))),
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

/** Asks again until it is so; fails after five seconds. */
export const until = async (is: () => boolean | Promise<boolean>): Promise<void> => {
  const from = performance.now()
  while (!(await is())) {
    if (performance.now() - from > 5000) throw new Error(`never happened: ${is}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** What a promise rejects with. */
export const rejection = (promise: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(promise).then(
    (value) => {
      throw new Error(`did not reject, but gave ${JSON.stringify(value)}`)
    },
    (error: unknown) => error
  )
