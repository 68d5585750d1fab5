import { Effect } from "effect"
import { Command } from "effect/cli"
import { shownOf } from "../../../services/CheckpointRound.ts"
import { Checkpoints } from "../../../services/Checkpoints.ts"
import { checkpointText } from "../../CheckpointText.ts"
import { NothingToDo } from "../../CliFailure.ts"
import { withReader } from "../../Environment.ts"
import { answer } from "../../Output.ts"

/** The latest checkpoint as it is in the database; nothing is checked, that is what `verify` does. */
export const show = Command.make("show").pipe(
  Command.withDescription("Print the latest checkpoint and how old it is."),
  Command.withExamples([{ command: "governance checkpoint show --json | jq -r .note", description: "The note alone" }]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const latest = yield* Checkpoints.use((checkpoints) => checkpoints.latest)
      if (latest === null) {
        return yield* new NothingToDo({
          what: "There are no checkpoints",
          todo: "`governance checkpoint` makes one; programs with GOVERNANCE_CHECKPOINT_KEY make one every minute."
        })
      }
      yield* answer(shownOf(latest), () => checkpointText(latest))
    }, withReader)
  )
)
