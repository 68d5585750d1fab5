// Writes a project and gets a signal just before one step, as a user's Ctrl-C would come: <target> <step> <signal>.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { exitCodeOfExit } from "../../src/cli/ExitCode.ts"
import { write } from "./Scratch.ts"

const [target = "", step = "", signal = ""] = process.argv.slice(2)

const hit = Effect.andThen(
  Effect.sync(() => process.kill(process.pid, signal)),
  // The signal comes with the next turn of the loop.
  Effect.sleep("10 seconds")
)

NodeRuntime.runMain(write(target, { before: (at) => (at === step ? hit : Effect.void) }), {
  disableErrorReporting: true,
  teardown: (exit, onExit) => onExit(exitCodeOfExit(exit))
})
