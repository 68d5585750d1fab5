import { Effect, Result } from "effect"
import { Gates } from "../../services/Gates.ts"
import type { Refusal } from "../../services/Governor.ts"
import { DemoFailed } from "./DemoFailed.ts"
import { operator } from "./Operator.ts"
import { Screen } from "./Screen.ts"
import { supportAgent } from "./Sessions.ts"

/** A call waits for a person; a colleague grants it in another process; the same call runs, once. */
export const approvalScene = Effect.fnUntraced(function* (label: string, call: Effect.Effect<unknown, Refusal>) {
  const screen = yield* Screen
  const gates = yield* Gates
  const [card] = yield* Effect.orDie(gates.list({ agentId: supportAgent }))
  if (card === undefined || card.token === null)
    return yield* new DemoFailed({ what: "nobody was asked for the approval" })
  yield* screen.line("  ada, a colleague, sees it in `governance approvals`, and types elsewhere:")
  yield* screen.line(`    governance grant ${card.token.slice(0, 24)}... --by ada`)
  yield* operator("grant", card.token, "--by", "ada", "--reason", "the customer asked for it in writing")
  const first = yield* Effect.result(call)
  if (Result.isFailure(first)) return yield* new DemoFailed({ what: "the approved call did not run" })
  yield* screen.marked("allowed", label)
  yield* screen.because("The agent makes the same call again, and it runs: approved by ada.")
  const second = yield* Effect.result(call)
  if (Result.isSuccess(second)) return yield* new DemoFailed({ what: "one approval was used twice" })
  yield* screen.marked("WAITS", label)
  yield* screen.because("Once more? One approval is good for one call: ada would be asked again.")
})
