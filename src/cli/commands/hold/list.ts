import { Effect } from "effect"
import { Command } from "effect/cli"
import { isoOf } from "../../../schema/Instant.ts"
import type { LegalHold } from "../../../schema/LegalHold.ts"
import { LegalHolds } from "../../../services/LegalHolds.ts"
import { withKeeping } from "../../Environment.ts"
import { answer } from "../../Output.ts"
import { table } from "../../Table.ts"

/** Every hold that stands. */
export const list = Command.make("list").pipe(
  Command.withDescription("List the holds that stand."),
  Command.withExamples([{ command: "governance hold list", description: "What is held, by whom, since when and why" }]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const holds = yield* LegalHolds.use(({ list }) => list)
      yield* answer(
        holds.map(({ setAtMs, ...hold }) => ({ ...hold, setAt: isoOf(setAtMs) })),
        (width) => (holds.length === 0 ? "Nothing is held." : table(columns, holds, width))
      )
    }, withKeeping)
  )
)

const columns = [
  { title: "SCOPE", keep: true, value: (hold: LegalHold) => hold.scope },
  { title: "NAME", keep: true, value: (hold: LegalHold) => hold.name },
  { title: "SET BY", keep: true, value: (hold: LegalHold) => hold.by },
  { title: "SINCE", keep: true, value: (hold: LegalHold) => isoOf(hold.setAtMs) },
  { title: "REASON", value: (hold: LegalHold) => hold.reason }
]
