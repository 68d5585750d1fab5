import { Command } from "effect/cli"
import { add } from "./keys/add.ts"
import { challenge } from "./keys/challenge.ts"
import { list, listKeys } from "./keys/list.ts"
import { revoke } from "./keys/revoke.ts"

/** Whose signatures count: the public keys of agents. */
export const keys = Command.make("keys").pipe(
  Command.withDescription("List, add and revoke the public keys that agents sign their rows with."),
  Command.withExamples([
    { command: "governance agents keys", description: "All of them, revoked ones included" },
    {
      command: "governance agents keys add clerk --key-uri file:///etc/governance/clerk.pem",
      description: "Make a key file and register its public half"
    }
  ]),
  Command.withHandler(() => listKeys),
  Command.withSubcommands([list, add, challenge, revoke])
)
