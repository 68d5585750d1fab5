import { Command } from "effect/cli"
import { migrate } from "./platform/migrate.ts"
import { serve } from "./platform/serve.ts"
import { token } from "./platform/token.ts"
import { user } from "./platform/user.ts"
import { workflow } from "./platform/workflow.ts"

/** The other side of the bridge: a timeline and an approvals inbox that a company hosts for itself (DEC-13). */
export const platform = Command.make("platform").pipe(
  Command.withDescription(
    "Host a platform: timelines and an approvals inbox for many deployments.\n  Its tables are in a schema of their own, governance_platform unless --schema says otherwise."
  ),
  Command.withExamples([
    { command: "governance platform workflow create production", description: "A workflow, and its token" },
    { command: "governance platform serve", description: "Serve it on this machine" }
  ]),
  Command.withSubcommands([serve, migrate, workflow, token, user])
)
