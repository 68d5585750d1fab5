import { DateTime, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { terminalText } from "../../../../schema/TerminalText.ts"
import { AgentKeys } from "../../../../services/AgentKeys.ts"
import { withServices } from "../../../Environment.ts"
import { fingerprintFrom } from "../../../KeyInput.ts"
import { by, operator } from "../../../Operator.ts"
import { answer } from "../../../Output.ts"
import { jsonOf } from "./list.ts"

/** Ends a key for good. Fails as a whole when the audit row that says so cannot be written (K-14). */
export const revoke = Command.make("revoke", {
  fingerprint: Argument.String("fingerprint").pipe(Argument.withDescription("All 64 hex digits of it")),
  reason: Flag.String("reason").pipe(Flag.withMetavar("text"), Flag.withDescription("Why, for the audit log")),
  force: Flag.Boolean("force").pipe(
    Flag.withDescription("Revoke even if the audit row cannot be written"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  by
}).pipe(
  Command.withDescription(
    "Revoke a key: what it signs from now on counts as a break, what it signed before stays valid."
  ),
  Command.withExamples([
    {
      command: 'governance agents keys revoke 4f2c...e91b --reason "laptop stolen"',
      description: "Halt the agent first, and give its processes another key"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const fingerprint = yield* fingerprintFrom(input.fingerprint)
      const name = yield* operator(input.by)
      const { key, revoked } = yield* AgentKeys.use((keys) =>
        keys.revoke(fingerprint, { by: name, reason: input.reason, strictChain: !input.force })
      )
      yield* answer({ ...jsonOf(key), changed: revoked }, () => {
        const whose = `key ${key.fingerprint} of ${terminalText(key.agentId)}`
        const { revocation } = key
        if (revocation === null) return `Revoked ${whose}.`
        const at = DateTime.formatIso(DateTime.makeUnsafe(revocation.revokedAtMs))
        const who = `by ${terminalText(revocation.revokedBy)} at ${at}: ${terminalText(revocation.reason)}`
        if (!revoked) return `Nothing changed: ${whose} was revoked ${who}`
        const warning = revocation.eventId === null ? "\nThe audit log does not hold it: no row could be written." : ""
        return `Revoked ${whose} ${who}\nRows that it signs from now on are breaks: start the agent's processes with another key.${warning}`
      })
    }, withServices)
  )
)
