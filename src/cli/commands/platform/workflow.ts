import { Command } from "effect/cli"
import { create } from "./workflow/create.ts"

/** What events are sent to. */
export const workflow = Command.make("workflow").pipe(
  Command.withDescription("Workflows: one for each environment, or for each surface of an agent."),
  Command.withExamples([{ command: "governance platform workflow create production", description: "Make one" }]),
  Command.withSubcommands([create])
)
