import { Effect } from "effect"
import { Command } from "effect/cli"
import { LegalHolds } from "../../../services/LegalHolds.ts"
import { NothingToDo } from "../../CliFailure.ts"
import { withKeeping } from "../../Environment.ts"
import { holdFlags, orderOf } from "../../HoldOrder.ts"
import { answer } from "../../Output.ts"

/** Ends a hold. Needs the owner's connection. */
export const release = Command.make("release", holdFlags).pipe(
  Command.withDescription("End a hold. Run it as the owner of the schema."),
  Command.withExamples([
    {
      command: 'governance hold release --session order-4711 --reason "case closed"',
      description: "Let go of a session"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const order = yield* orderOf(input)
      const released = yield* LegalHolds.use((holds) => holds.release(order))
      if (!released) {
        return yield* new NothingToDo({
          what: `No hold stands on that ${order.scope}`,
          todo: "`governance hold list` shows those that do."
        })
      }
      yield* answer({ scope: order.scope, released }, () => `Released: that ${order.scope} is no longer held.`)
    }, withKeeping)
  )
)
