/**
 * A process of a host: all of governance on Postgres, doing what its parent says and writing down what it saw. Its options
 * come from GOVERNANCE_* and WORKER_*; SIGTERM ends it as a host would end.
 */
import { openSync, writeSync } from "node:fs"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Clock, Deferred, Effect, Exit, FiberSet, Logger, type Scope } from "effect"
import * as Postgres from "../../src/layers/Postgres.ts"
import { KeyId } from "../../src/schema/Ids.ts"
import type { Refusal } from "../../src/schema/Refusal.ts"
import { Audit } from "../../src/services/Audit.ts"
import { ChainKeys } from "../../src/services/ChainKeys.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Governor } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { Sweep } from "../../src/services/Sweep.ts"
import { type Outcome, record } from "../../src/testing/History.ts"
import * as Approving from "./Approving.ts"
import type { Answers, Asked, Command } from "./Commands.ts"
import { appendAll, makeRecorder } from "./Writing.ts"

const options: GovernanceOptions = JSON.parse(process.env.WORKER_OPTIONS ?? "{}")
const file = openSync(process.env.WORKER_HISTORY ?? "/dev/null", "a")
// Written at once and by the kernel: a process that is killed has told everything it knew.
const recorder = makeRecorder(process.env.WORKER_NAME ?? "worker", (line) => void writeSync(file, line))
const { start, write } = recorder
const surely = <Data>(exit: Exit.Exit<unknown, unknown>, data: Data) => ({
  outcome: (Exit.isSuccess(exit) ? "ok" : "indeterminate") as Outcome,
  data
})

const nanoOf = (usd: string) => BigInt(Math.round(Number(usd) * 1e9))

const program = Effect.gen(function* () {
  const audit = yield* Audit
  const governor = yield* Governor
  const policies = yield* Policies
  const presence = yield* Presence
  const gates = yield* Gates
  const sweep = yield* Sweep
  const keys = yield* ChainKeys
  const ended = yield* Deferred.make<void>()
  const held = new Map<string, Held>()

  const append = (command: CommandOf<"append">) => appendAll(audit, recorder, command)

  const admitted = (command: CommandOf<"admit" | "hold">) => {
    const amount = nanoOf(command.maxUsd)
    const data = { ticket: "", agents: [command.agent], verdict: "unknown" as const, held: amount }
    return governor
      .admit({ agentId: command.agent, sessionId: command.session, tool: "work", maxUsd: command.maxUsd })
      .pipe(
        record(write, start("admit", data), (exit) => {
          if (Exit.isSuccess(exit)) {
            return { outcome: "ok", data: { ...data, ticket: exit.value.id, verdict: "Admitted" } }
          }
          const failure = Cause.findErrorOption(exit.cause)
          const verdict = failure._tag === "Some" ? verdicts[failure.value._tag] : undefined
          return verdict === undefined
            ? { outcome: "indeterminate", data }
            : { outcome: "ok", data: { ...data, verdict } }
        })
      )
  }

  const admit = Effect.fnUntraced(function* (command: CommandOf<"admit">) {
    const refused: Record<string, number> = {}
    let calls = 0
    const one = Effect.scoped(
      Effect.gen(function* () {
        yield* admitted(command)
        calls++
        yield* Effect.sleep(command.lastsMs)
      })
    ).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          refused[error._tag] = (refused[error._tag] ?? 0) + 1
        })
      )
    )
    yield* Effect.forEach(Array.from({ length: command.callers }), () => one, {
      concurrency: "unbounded",
      discard: true
    })
    return { admitted: calls, refused }
  })

  const hold = Effect.fnUntraced(function* (command: CommandOf<"hold">) {
    const begun = yield* Deferred.make<{ readonly ticket: string }, Refusal>()
    const release = yield* Deferred.make<void>()
    const outcome = yield* Deferred.make<Answers["outcome"]>()
    let abortedNs: string | null = null
    const use = (ticket: { readonly id: string }) =>
      Effect.suspend(() => {
        held.set(ticket.id, { release, outcome })
        Deferred.doneUnsafe(begun, Effect.succeed({ ticket: ticket.id }))
        const provider = Effect.promise(
          (signal) =>
            new Promise<never>(() => {
              signal.addEventListener("abort", () => {
                abortedNs = `${process.hrtime.bigint()}`
              })
            })
        )
        return Effect.raceFirst(Deferred.await(release), provider)
      })
    const call = { agentId: command.agent, sessionId: command.session, tool: "work", maxUsd: command.maxUsd }
    yield* governor.run(call, use).pipe(
      Effect.onExit((exit) => {
        const failure = Exit.isSuccess(exit) ? undefined : Cause.findErrorOption(exit.cause)
        const end = failure === undefined ? "released" : failure._tag === "Some" ? failure.value._tag : "interrupted"
        if (failure?._tag === "Some") Deferred.doneUnsafe(begun, Effect.fail(failure.value))
        return Deferred.succeed(outcome, { end, abortedNs })
      }),
      Effect.forkScoped
    )
    return yield* Deferred.await(begun)
  })

  const holding = (ticket: string) => Effect.fromNullishOr(held.get(ticket))

  const perform = (command: Command): Effect.Effect<Answers[Command["do"]], unknown, Scope.Scope> => {
    switch (command.do) {
      case "policies":
        return Effect.gen(function* () {
          if (command.operator !== undefined) {
            yield* presence.heartbeat(command.agent, { operatorId: command.operator })
          }
          for (const kind of ["scope", "budget", "audit", "gate"] as const) {
            const policy = command[kind]
            if (policy !== undefined) yield* policies.register(command.agent, kind, policy)
          }
          return null
        })
      case "append":
        return append(command)
      case "admit":
        return admit(command)
      case "hold":
        return hold(command)
      case "release":
        return Effect.flatMap(holding(command.ticket), ({ release }) =>
          Effect.as(Deferred.succeed(release, undefined), null)
        )
      case "outcome":
        return Effect.flatMap(holding(command.ticket), ({ outcome }) => Deferred.await(outcome))
      case "ask":
        return Approving.ask(governor, gates, command)
      case "grant":
        return Approving.grant(gates, command)
      case "use":
        return Approving.use(governor, command)
      case "pay":
        return Approving.pay(governor, command)
      case "cards":
        return Approving.cards(gates, command)
      case "delegate":
        return Effect.as(presence.delegate(command.parent, command.child), null)
      case "halt":
        return Effect.gen(function* () {
          const invokedNs = yield* Clock.monotonicTimeNanos
          yield* presence
            .halt(command.agent, { by: "operator", reason: "a test" })
            .pipe(
              record(write, start("halt", { agent: command.agent }), (exit) => surely(exit, { agent: command.agent }))
            )
          return { invokedNs: `${invokedNs}`, completedNs: `${yield* Clock.monotonicTimeNanos}` }
        })
      case "resume":
        return presence.resume(command.agent, { by: "operator" }).pipe(
          record(write, start("resume", { agent: command.agent }), (exit) => surely(exit, { agent: command.agent })),
          Effect.as(null)
        )
      case "heartbeat":
        return Effect.as(presence.heartbeat(command.agent), null)
      case "sweep":
        return sweep.run
      case "stats":
        return audit.stats
      case "keys":
        return Effect.sync(() => {
          const mac = keys.macWith(KeyId.make(command.under), "gate-token")?.("a token")
          return { current: keys.current.keyId, mac: mac === undefined ? null : Buffer.from(mac).toString("hex") }
        })
      case "block":
        return Effect.sync(() => {
          const until = performance.now() + command.ms
          while (performance.now() < until);
          return null
        })
      case "exhaust":
        return Effect.sync(() => {
          const all: Array<unknown> = []
          for (;;) all.push(Array.from({ length: 10_000 }, (_, i) => ({ i })))
        })
      case "stop":
        return Effect.as(Deferred.succeed(ended, undefined), null)
    }
  }

  // Ended with the program, before the layers are: a host stops its own work before it lets go of what it works with.
  const run = yield* FiberSet.makeRuntime<Scope.Scope>()
  const tell = (message: object) => process.send?.(message)
  process.on("message", ({ command, id }: Asked) => {
    run(
      Effect.matchCause(perform(command), {
        onFailure: (cause) => tell({ id, error: Cause.pretty(cause) }),
        onSuccess: (value) => tell({ id, value })
      })
    )
  })
  // Without its parent it would stay for ever.
  process.on("disconnect", () => process.exit(1))
  tell({ ready: true })
  yield* Deferred.await(ended)
})

type CommandOf<D extends Command["do"]> = Extract<Command, { readonly do: D }>

interface Held {
  readonly release: Deferred.Deferred<void>
  readonly outcome: Deferred.Deferred<Answers["outcome"]>
}

const verdicts: Partial<Record<Refusal["_tag"], "Short" | "Halted" | "Looping">> = {
  BudgetExceeded: "Short",
  AgentHaltedError: "Halted",
  LoopDetected: "Looping"
}

// A second signal that comes when everything is drained, and the runtime no longer listens, must not look like a kill.
process.on("SIGTERM", () => {})

NodeRuntime.runMain(
  program.pipe(
    Effect.scoped,
    Effect.provide(Postgres.layer(options)),
    Effect.provide(Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]))
  )
)
