import { Command } from "effect/cli"
import { invite } from "./user/invite.ts"

/** People who look at the platform. */
export const user = Command.make("user").pipe(
  Command.withDescription("Members of a workspace."),
  Command.withExamples([
    { command: "governance platform user invite ann@example.com", description: "Let somebody in" }
  ]),
  Command.withSubcommands([invite])
)
