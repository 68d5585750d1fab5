import { Effect } from "effect"
import { Command } from "effect/cli"
import { Checkpoints } from "../../../services/Checkpoints.ts"
import { checkpointText, shownOf } from "../../CheckpointText.ts"
import { NothingToDo } from "../../CliFailure.ts"
import { withReader } from "../../Environment.ts"
import { answer } from "../../Output.ts"
import { standingText } from "../../StandingText.ts"

/** The latest checkpoint as it is in the database; and where it has gone; nothing is checked, that is what `verify` does. */
export const show = Command.make("show").pipe(
  Command.withDescription("Print the latest checkpoint, how old it is, and how far every sink and witness has it."),
  Command.withExamples([{ command: "governance checkpoint show --json | jq -r .note", description: "The note alone" }]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const { latest: ofDatabase, standings } = yield* Checkpoints
      const latest = yield* ofDatabase
      if (latest === null) {
        return yield* new NothingToDo({
          what: "There are no checkpoints",
          todo: "`governance checkpoint` makes one; programs with GOVERNANCE_CHECKPOINT_KEY make one every minute."
        })
      }
      const sinks = yield* standings
      yield* answer({ ...shownOf(latest), sinks }, () =>
        [checkpointText(latest), ...(sinks.length === 0 ? [] : ["", ...sinks.map(standingText)])].join("\n")
      )
    }, withReader)
  )
)
