import { Command } from "effect/cli"
import { revoke } from "./token/revoke.ts"

/** What bridges sign in with. */
export const token = Command.make("token").pipe(
  Command.withDescription("Tokens of workflows."),
  Command.withExamples([{ command: "governance platform token revoke <token-id>", description: "End one" }]),
  Command.withSubcommands([revoke])
)
