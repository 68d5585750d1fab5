import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { RetentionRefused } from "../../schema/RetentionError.ts"
import { Erasure } from "../../services/Erasure.ts"
import { counted } from "../CliFailure.ts"
import { confirmed, yes } from "../Confirm.ts"
import { withKeeping } from "../Environment.ts"
import { by, operator } from "../Operator.ts"
import { answer } from "../Output.ts"

/** Forgets the keys of a subject: what was sealed for it cannot be read any more, and the log still verifies. */
export const erase = Command.make("erase", {
  subject: Argument.String("subject").pipe(Argument.withDescription("The subject, as your program marks its values")),
  reason: Flag.String("reason").pipe(
    Flag.withMetavar("text"),
    Flag.withDescription("Why, for the audit log; leave out who it is about"),
    Flag.optional
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Say what would go, change nothing"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  yes,
  by
}).pipe(
  Command.withDescription("Make everything that was sealed for a person unreadable, for good. Asks first."),
  Command.withExamples([
    {
      command: "governance erase customer-4711 --dry-run",
      description: "Is there anything, and does a hold forbid it?"
    },
    { command: 'governance erase customer-4711 --reason "request of 3 May"', description: "Erase" },
    {
      command: "governance erase customer-4711 --yes --json",
      description: "Erase from a program, which nobody can ask"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const erasure = yield* Erasure
      if (input.dryRun) {
        const { holds, keys } = yield* erasure.plan(input.subject)
        yield* answer({ dryRun: true, keys, holds }, () =>
          keys === 0
            ? "The subject has no key: nothing that was sealed for it can be read."
            : `${counted(keys, "key")} would be forgotten, and every value sealed with them; nothing was changed.`
        )
        if (holds.length > 0) return yield* new RetentionRefused({ problem: "held", chain: "", holds })
        return
      }
      const name = yield* operator(input.by)
      yield* confirmed(input.yes, "Everything that was sealed for this subject becomes unreadable, for good.")
      const erased = yield* erasure.erase(input.subject, {
        by: name,
        reason: Option.getOrUndefined(input.reason)
      })
      yield* answer(erased, () =>
        [
          erased.keys === 0
            ? "The subject had no key: there was nothing to forget. That is recorded."
            : `${counted(erased.keys, "key")} forgotten: what was sealed with them cannot be read any more.`,
          `Recorded in chain operator under the reference ${erased.reference}.`,
          "Backups of the database still hold the encrypted keys until they are gone."
        ].join("\n")
      )
    }, withKeeping)
  )
)
