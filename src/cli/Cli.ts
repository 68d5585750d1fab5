import { Effect, Layer } from "effect"
import { CliConfig, Command, GlobalFlag } from "effect/cli"
import { agents } from "./commands/agents.ts"
import { approvals } from "./commands/approvals.ts"
import { bridge } from "./commands/bridge.ts"
import { budget } from "./commands/budget.ts"
import { checkpoint } from "./commands/checkpoint.ts"
import { compliance } from "./commands/compliance.ts"
import { coverage } from "./commands/coverage.ts"
import { demo } from "./commands/demo.ts"
import { deny } from "./commands/deny.ts"
import { doctor } from "./commands/doctor.ts"
import { emit } from "./commands/emit.ts"
import { erase } from "./commands/erase.ts"
import { exportBundle } from "./commands/export.ts"
import { grant } from "./commands/grant.ts"
import { halt } from "./commands/halt.ts"
import { hold } from "./commands/hold.ts"
import { migrate } from "./commands/migrate.ts"
import { platform } from "./commands/platform.ts"
import { policy } from "./commands/policy.ts"
import { prompts } from "./commands/prompts.ts"
import { prune } from "./commands/prune.ts"
import { recipe } from "./commands/recipe.ts"
import { replay } from "./commands/replay.ts"
import { report } from "./commands/report.ts"
import { resume } from "./commands/resume.ts"
import { rotateChainKey } from "./commands/rotate-chain-key.ts"
import { tail } from "./commands/tail.ts"
import { verify } from "./commands/verify.ts"
import { verifyBundle } from "./commands/verify-bundle.ts"
import { tell } from "./Failure.ts"
import * as Log from "./Log.ts"
import * as Presenter from "./Presenter.ts"
import { governance } from "./Root.ts"

/** Every command. */
export const cli = governance.pipe(
  Command.withSubcommands([
    { group: "Start", commands: [demo, recipe, migrate, doctor] },
    { group: "Agents", commands: [agents, halt, resume, budget, policy, prompts] },
    { group: "Approvals", commands: [approvals, grant, deny] },
    {
      group: "Evidence",
      commands: [verify, coverage, checkpoint, tail, emit, replay, report, compliance, exportBundle, verifyBundle]
    },
    { group: "Keeping", commands: [rotateChainKey, prune, erase, hold] },
    { group: "Platform", commands: [bridge, platform] }
  ])
)

/** Runs one command line: its answer, and one line on standard error for whatever goes wrong. Needs an `Environment`. */
export const run = (args: ReadonlyArray<string>, version: string) =>
  Command.runWith(cli, { version })(args).pipe(
    Effect.tapCause(tell),
    Effect.provide(Layer.mergeAll(Presenter.layer, Log.layer, builtIns))
  )

const builtIns = Layer.succeed(CliConfig.CliConfig, {
  builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]
})
