import { Effect } from "effect"
import { Command } from "effect/cli"
import { LegalHolds } from "../../../services/LegalHolds.ts"
import { withKeeping } from "../../Environment.ts"
import { holdFlags, orderOf } from "../../HoldOrder.ts"
import { answer } from "../../Output.ts"

/** Sets a hold. One that stands already keeps its first reason. */
export const set = Command.make("set", holdFlags).pipe(
  Command.withDescription("Set a hold on a chain, an agent, a session or a subject."),
  Command.withExamples([
    {
      command: 'governance hold set --subject customer-4711 --reason "case 12/26"',
      description: "Keep a person's data"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const order = yield* orderOf(input)
      const isNew = yield* LegalHolds.use((holds) => holds.set(order))
      yield* answer({ scope: order.scope, changed: isNew }, () =>
        isNew
          ? `Held: nothing of that ${order.scope} is pruned or erased until \`governance hold release\`.`
          : "A hold stands there already; it stays as it is."
      )
    }, withKeeping)
  )
)
