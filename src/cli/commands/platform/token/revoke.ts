import { Effect, Option, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { Workflows } from "../../../../platform/Workflows.ts"
import { terminalText } from "../../../../schema/TerminalText.ts"
import { TokenId } from "../../../../schema/Workspace.ts"
import { WorkspaceStore } from "../../../../services/WorkspaceStore.ts"
import { NothingToDo } from "../../../CliFailure.ts"
import { answer } from "../../../Output.ts"
import { withPlatform } from "../../../PlatformPlace.ts"

/** Ends a token at once: the next request with it is a 401, and its bridge goes quiet (BRG-08). */
export const revoke = Command.make("revoke", {
  token: Argument.String("token-id").pipe(
    Argument.withDescription("The token's id, as `workflow create` printed it; never the token itself")
  )
}).pipe(
  Command.withDescription("Revoke a token of a workflow, at once."),
  Command.withExamples([{ command: "governance platform token revoke 7d9KxQ", description: "End it" }]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const id = Option.getOrNull(Schema.decodeUnknownOption(TokenId)(input.token))
      const store = yield* WorkspaceStore
      const workflow = id === null ? null : yield* store.placeOfToken(id)
      const done = workflow !== null && id !== null && (yield* Workflows.use((all) => all.revoke(workflow, id)))
      if (!done) {
        return yield* new NothingToDo({
          what: "There is no token with that id that is still good",
          todo: "Give the id that was printed beside the token."
        })
      }
      yield* answer(
        { revoked: id, workspace: workflow.workspace, workflow: workflow.workflow },
        () =>
          `Revoked: nothing is accepted with it any more for ${terminalText(workflow.name, 128)} in ${workflow.workspace}.`
      )
    }, withPlatform)
  )
)
