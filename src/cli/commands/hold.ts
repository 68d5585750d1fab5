import { Command } from "effect/cli"
import { list } from "./hold/list.ts"
import { release } from "./hold/release.ts"
import { set } from "./hold/set.ts"

/** Legal holds: what must not be pruned or erased. */
export const hold = Command.make("hold").pipe(
  Command.withDescription("Keep parts of the log from being pruned or erased, for as long as a case needs it."),
  Command.withExamples([
    { command: 'governance hold set --session order-4711 --reason "case 12/26"', description: "Keep a session" },
    { command: "governance hold list", description: "What is held, by whom and why" }
  ]),
  Command.withSubcommands([set, release, list])
)
