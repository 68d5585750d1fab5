import { Effect } from "effect"
import { Command } from "effect/cli"
import { Checkpoints } from "../../services/Checkpoints.ts"
import { checkpointText, shownOf } from "../CheckpointText.ts"
import { NothingToDo } from "../CliFailure.ts"
import { withServices } from "../Environment.ts"
import { answer } from "../Output.ts"
import { adopt } from "./checkpoint/adopt.ts"
import { key } from "./checkpoint/key.ts"
import { show } from "./checkpoint/show.ts"

/** Makes a checkpoint now, of everything that is committed, and hands it to the sinks. */
export const checkpoint = Command.make("checkpoint").pipe(
  Command.withDescription("Sign what the audit log holds now, so that nobody can take any of it away unnoticed."),
  Command.withExamples([
    { command: "governance checkpoint", description: "Make one now; print it and keep it somewhere else" },
    { command: "governance checkpoint show", description: "The latest, and how old it is" },
    {
      command: 'governance checkpoint adopt --reason "disk died, backup of Friday restored"',
      description: "Answer for a restored backup, so that signing goes on"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const made = yield* Checkpoints.use((checkpoints) => checkpoints.make)
      if (made === null) {
        return yield* new NothingToDo({ what: "There is nothing to sign: the audit log is empty", todo: "" })
      }
      yield* answer(shownOf(made), () => checkpointText(made))
    }, withServices)
  ),
  Command.withSubcommands([show, adopt, key])
)
