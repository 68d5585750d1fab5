import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { Checkpoints } from "../../../services/Checkpoints.ts"
import { adoptionText } from "../../CheckpointAnchor.ts"
import { checkpointText, shownOf } from "../../CheckpointText.ts"
import { NothingToDo } from "../../CliFailure.ts"
import { withKeeping } from "../../Environment.ts"
import { by, operator } from "../../Operator.ts"
import { answer } from "../../Output.ts"

/**
 * Answers for a restored backup or a new key: what is lost is named, signed and logged, and signing goes on. Needs the
 * owner's connection where checkpoints of lost rows are taken back.
 */
export const adopt = Command.make("adopt", {
  reason: Flag.String("reason").pipe(
    Flag.withMetavar("text"),
    Flag.withDescription("What happened, for everybody who verifies this log later")
  ),
  by
}).pipe(
  Command.withDescription(
    "Answer for a restored backup: the loss is named, signed and logged, and signing goes on. Run it as the owner of the schema."
  ),
  Command.withExamples([
    {
      command: 'governance checkpoint adopt --reason "disk died, backup of Friday restored" --by ada@example.com',
      description: "After `governance verify` said: rolled back"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const name = yield* operator(input.by)
      const checkpoints = yield* Checkpoints
      const found = yield* checkpoints.examine()
      if (found.verdict === "ok" || found.verdict === "noCheckpoints") {
        return yield* new NothingToDo({
          what: "There is nothing to adopt: no checkpoint speaks against this database",
          todo: "`governance verify` says what checkpoints say."
        })
      }
      const { adoption, checkpoint } = yield* checkpoints.adopt({ by: name, reason: input.reason })
      yield* answer({ adoption, checkpoint: checkpoint === null ? null : shownOf(checkpoint) }, () =>
        [adoptionText(adoption), ...(checkpoint === null ? [] : [checkpointText(checkpoint)])].join("\n")
      )
    }, withKeeping)
  )
)
