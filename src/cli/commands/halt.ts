import { DateTime, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { terminalText } from "../../schema/TerminalText.ts"
import { Presence } from "../../services/Presence.ts"
import { PresenceStore } from "../../services/PresenceStore.ts"
import { UsageError } from "../CliFailure.ts"
import { withServices } from "../Environment.ts"
import { agent, agentIdOf } from "../Names.ts"
import { by, operator } from "../Operator.ts"
import { answer, notice } from "../Output.ts"

/** Stops an agent and everything it delegates to, in every process. Fails unless the halt and its audit row are stored. */
export const halt = Command.make("halt", {
  agent,
  reason: Flag.String("reason").pipe(
    Flag.withMetavar("text"),
    Flag.withDescription("Why, for the audit log and for the agent's owner")
  ),
  by
}).pipe(
  Command.withDescription("Stop an agent and all it delegates to, in every process. Running calls are interrupted."),
  Command.withExamples([
    { command: 'governance halt billing-agent --reason "refunds to the wrong accounts"', description: "Stop it now" },
    {
      command: 'governance halt billing-agent --reason "audit" --by alice@example.com',
      description: "In somebody's name"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const agentId = yield* agentIdOf(input.agent)
      if (input.reason.trim() === "") {
        return yield* new UsageError({
          subject: "--reason",
          problem: "is empty",
          todo: "Say why: it is what the agent's owner reads."
        })
      }
      const name = yield* operator(input.by)
      const store = yield* PresenceStore
      // Looked up for the messages alone: what a look-up cannot answer MUST NOT hold up a halt.
      const before = (yield* Effect.orElseSucceed(store.halts, () => [])).find((one) => one.agentId === agentId)
      const seen = yield* Effect.orElseSucceed(store.list, () => [])
      const presence = yield* Presence
      const halted = yield* presence.halt(agentId, { by: name, reason: input.reason })
      if (before === undefined && !seen.some((one) => one.agentId === agentId || one.parent === agentId)) {
        yield* notice(
          `Note: no agent called ${agentId} has been seen so far. Check the name; the halt holds in any case.`
        )
      }
      const at = DateTime.formatIso(halted.haltedAt)
      yield* answer({ ...halted, haltedAt: at, changed: before === undefined }, () => {
        const [id, who, why] = [halted.agentId, halted.haltedBy, halted.reason].map((part) => terminalText(part))
        return before === undefined
          ? `Halted ${id} by ${who} at ${at}: ${why}\nLift it with \`governance resume ${id}\`.`
          : `${id} was halted already, by ${who} at ${at}: ${why}\nThat halt stays as it is.`
      })
    }, withServices)
  )
)
