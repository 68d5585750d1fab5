import { Effect, Layer, ManagedRuntime } from "effect"
import * as Host from "../../src/integrations/Host.ts"
import type { ScopePolicyInput } from "../../src/schema/AgentScope.ts"
import type { BudgetPolicyInput } from "../../src/schema/Cost.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { FakeProvider, type FakeScript } from "../../src/testing/FakeProvider.ts"
import { capture, memory } from "../services/World.ts"

export const agentId = "clerk"
export const sessionId = "s1"

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

export interface WorldOptions extends GovernanceOptions {
  readonly script?: FakeScript
  readonly scope?: Partial<ScopePolicyInput>
  readonly budget?: BudgetPolicyInput
  /** Tools that wait for a person. */
  readonly gated?: ReadonlyArray<string>
  /** Other stores than those in memory. */
  readonly layer?: Layer.Layer<Services, unknown>
}

/** A provider on loopback, governance over it, and an agent that may do anything for ten dollars. */
export const openWorld = async (options: WorldOptions = {}): Promise<FrameworkWorld> => {
  const { budget = { perSessionUsd: 10 }, gated = [], layer, scope, script, ...settings } = options
  const log = capture()
  const provider = await FakeProvider.start(script ?? {})
  const runtime = ManagedRuntime.make(Layer.provideMerge(layer ?? memory(settings), log.layer))
  const run: FrameworkWorld["run"] = (effect) => runtime.runPromise(effect)
  const governance = await run(
    Effect.gen(function* () {
      yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"], ...scope })
      yield* (yield* Cost).register({ agentId, ...budget })
      yield* (yield* Policies).register(agentId, "gate", { requireApproval: [...gated] })
      yield* (yield* Presence).heartbeat(agentId, { operatorId: "olga@example.org" })
      return yield* Host.make
    })
  )
  const money = () =>
    run(
      Effect.map(
        Cost.use((cost) => cost.snapshot(agentId, sessionId)),
        ({ state }) => ({ spent: Number(state.sessionUsd), held: Number(state.heldUsd) })
      )
    )
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
    money,
    spent: async () => {
      await until(async () => (await money()).held === 0)
      return (await money()).spent
    },
    kinds: () =>
      run(
        Effect.map(
          Audit.use((audit) => audit.traceSessionChain(sessionId)),
          (rows) => rows.map(({ kind }) => kind)
        )
      ),
    halt: () => run(Presence.use((presence) => presence.halt(agentId, { by: "ada", reason: "stop" }))),
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

/** The tag of a refusal, wherever in the causes of an error it is. */
export const tagOf = (error: unknown): string => {
  for (let at = error, i = 0; typeof at === "object" && at !== null && i < 8; i++) {
    if ("_tag" in at) return String(at._tag)
    const { cause, error }: { readonly cause?: unknown; readonly error?: unknown } = at
    at = cause ?? error
  }
  return String(error)
}
