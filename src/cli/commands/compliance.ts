import { Command } from "effect/cli"
import { reportAlias } from "./report.ts"

/** The name under which others know the report (C-14). */
export const compliance = Command.make("compliance").pipe(
  Command.withDescription("Evidence for whoever must show what agents did."),
  Command.withExamples([{ command: "governance compliance report", description: "The same as `governance report`" }]),
  Command.withSubcommands([reportAlias])
)
