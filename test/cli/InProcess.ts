import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Context, type Duration, Effect, Fiber, Layer, Sink, Stdio, Stream, Terminal } from "effect"
import { TestConsole } from "effect/testing"
import { run } from "../../src/cli/Cli.ts"
import { UsageError } from "../../src/cli/CliFailure.ts"
import { Environment } from "../../src/cli/Environment.ts"
import { exitCodeOfExit } from "../../src/cli/ExitCode.ts"
import { Secrets } from "../../src/cli/Redaction.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { AgentKeyStore } from "../../src/services/AgentKeyStore.ts"
import { AgentKeys } from "../../src/services/AgentKeys.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { BridgeStateStore } from "../../src/services/BridgeStateStore.ts"
import { Bundles } from "../../src/services/Bundles.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { Compliance } from "../../src/services/Compliance.ts"
import { Cost } from "../../src/services/Cost.ts"
import { CostStore } from "../../src/services/CostStore.ts"
import { CoverageStore } from "../../src/services/CoverageStore.ts"
import { Erasure } from "../../src/services/Erasure.ts"
import * as GateDecisions from "../../src/services/GateDecisions.ts"
import { Gates } from "../../src/services/Gates.ts"
import { LegalHolds } from "../../src/services/LegalHolds.ts"
import * as OperatorPolicies from "../../src/services/OperatorPolicies.ts"
import { Policies } from "../../src/services/Policies.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { Presence } from "../../src/services/Presence.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import { Prompts } from "../../src/services/Prompts.ts"
import { ReaderStore } from "../../src/services/ReaderStore.ts"
import { Retention } from "../../src/services/Retention.ts"

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  /** Interrupts a command that never ends, as Ctrl-C would. */
  readonly until?: Duration.Input
  /** Makes standard output and error a terminal of 80 columns; what is drawn on standard error comes here. */
  readonly terminal?: Array<string>
  /** What the person at that terminal types when asked. */
  readonly types?: string
}

/** Runs a command line in this process, with a console, an environment of variables and a set of secrets of its own. */
export const governance = (
  args: ReadonlyArray<string>,
  options: RunOptions = {}
): Effect.Effect<Ran, never, Environment> =>
  Effect.gen(function* () {
    const running = yield* Effect.forkChild(run(args, "0.0.0-test"), { startImmediately: true })
    if (options.until !== undefined) {
      yield* Effect.sleep(options.until)
      yield* Fiber.interrupt(running)
    }
    const exit = yield* Fiber.await(running)
    const lines = (found: ReadonlyArray<unknown>) => found.map((line) => `${line}\n`).join("")
    return {
      code: exitCodeOfExit(exit),
      out: lines(yield* TestConsole.logLines),
      err: lines(yield* TestConsole.errorLines)
    }
  }).pipe(
    Effect.provide(TestConsole.layer, { local: true }),
    Effect.provide(stdio(options)),
    Effect.provide(NodeServices.layer),
    Effect.provideService(Secrets, new Set<string>()),
    Effect.provideService(
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromEnv({ env: { GOVERNANCE_STATE_DIR: stateDir, ...options.env } })
    )
  )

// Nothing is remembered in the home of whoever runs the tests.
const stateDir = join(tmpdir(), `governance-test-state-${process.pid}`)

const stdio = ({ stdin, terminal, types }: RunOptions) => {
  const draw = (part: string | Uint8Array) => Effect.sync(() => void terminal?.push(String(part)))
  return Layer.merge(
    Stdio.layerTest({
      stdin: stdin === undefined ? Stream.empty : Stream.make(new TextEncoder().encode(stdin)),
      stdinIsTerminal: Effect.succeed(types !== undefined),
      stdoutIsTerminal: Effect.succeed(terminal !== undefined),
      stderrIsTerminal: Effect.succeed(terminal !== undefined),
      stderr: () => Sink.forEach(draw)
    }),
    terminal === undefined ? Layer.empty : Layer.succeed(Terminal.Terminal, narrow(types))
  )
}

const narrow = (types: string | undefined) =>
  Terminal.make({
    columns: Effect.succeed(80),
    rows: Effect.succeed(24),
    size: Effect.die("unused"),
    readInput: Effect.die("unused"),
    readLine: types === undefined ? Effect.die("unused") : Effect.succeed(types),
    display: () => Effect.void
  })

/** All commands over one set of memory stores; the services are there too, so that a test can prepare and look. */
export const memory = Layer.effectContext(
  Effect.gen(function* () {
    const built = yield* Layer.build(
      Layer.mergeAll(OperatorPolicies.layer, GateDecisions.layer).pipe(Layer.provideMerge(Memory.layer()))
    )
    const services = Context.pick(
      AgentKeyStore,
      AgentKeys,
      Audit,
      AuditStore,
      BridgeStateStore,
      Bundles,
      Compliance,
      Checkpoints,
      Cost,
      CostStore,
      CoverageStore,
      Erasure,
      LegalHolds,
      GateDecisions.GateDecisions,
      Gates,
      OperatorPolicies.OperatorPolicies,
      Policies,
      PolicyStore,
      Presence,
      PresenceStore,
      Prompts,
      ReaderStore,
      Retention
    )(built)
    const all = () => Layer.succeedContext(services)
    const none = new UsageError({ subject: "memory", problem: "has no owner", todo: "" })
    const environment = Environment.of({
      stores: all,
      services: all,
      reader: all,
      keeping: all,
      owner: () => Layer.effectContext(Effect.fail(none)),
      rotation: () => Layer.effectContext(Effect.fail(none)),
      examine: () => Effect.succeed({ findings: [], stoppedBy: null })
    })
    return Context.add(services, Environment, environment)
  })
)
