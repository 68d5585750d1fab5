import { Clock, Effect, Redacted, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Workflows } from "../../../../platform/Workflows.ts"
import { terminalText } from "../../../../schema/TerminalText.ts"
import { DisplayName, Tier } from "../../../../schema/Workspace.ts"
import { WorkspaceStore } from "../../../../services/WorkspaceStore.ts"
import { NothingToDo, UsageError } from "../../../CliFailure.ts"
import { answer, notice } from "../../../Output.ts"
import { workspaceFlag, workspaceIdOf } from "../../../PlatformNames.ts"
import { withPlatform } from "../../../PlatformPlace.ts"

/** Makes a workflow, its workspace if that is new, and shows the token for the only time. */
export const create = Command.make("create", {
  name: Argument.String("name").pipe(Argument.withDescription("What people call it, such as production")),
  workspace: workspaceFlag,
  tier: Flag.Literals("tier", ["free", "team", "enterprise"]).pipe(
    Flag.withDescription("What a workspace that is new is entitled to"),
    Flag.withDefault("enterprise")
  )
}).pipe(
  Command.withDescription("Make a workflow and print its token, once. Only a hash of it is kept."),
  Command.withExamples([
    { command: "governance platform workflow create production", description: "In the workspace `default`" },
    { command: "governance platform workflow create staging --workspace acme --tier team", description: "In another" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const id = yield* workspaceIdOf(input.workspace)
      const name = yield* Effect.mapError(
        Schema.decodeEffect(DisplayName)(input.name),
        () => new UsageError({ subject: "The name", problem: "must have 1 to 128 visible characters", todo: "" })
      )
      const store = yield* WorkspaceStore
      const tier = Tier.make(input.tier)
      const isNew = yield* store.create({ id, name: id, tier }, yield* Clock.currentTimeMillis)
      const made = yield* Workflows.use((workflows) => workflows.create(id, name))
      if (made === null) {
        return yield* new NothingToDo({
          what: `Workspace ${id} has a workflow of that name already`,
          todo: "Give another name; a token that was lost cannot be shown again."
        })
      }
      if (isNew) yield* notice(`Made workspace ${id}, tier ${tier}.`)
      const token = Redacted.value(made.secret)
      yield* answer({ workspace: id, workflow: made.workflow.workflow, name, tokenId: made.token, token }, () =>
        [
          `workspace  ${id}`,
          `workflow   ${terminalText(name, 128)} (${made.workflow.workflow})`,
          `token id   ${made.token}`,
          `token      ${token}`
        ].join("\n")
      )
      yield* notice("The token is not kept and cannot be shown again: put it where your programs read secrets from.")
    }, withPlatform)
  )
)
