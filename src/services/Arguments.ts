import { Effect, Schema } from "effect"
import { Identifier } from "../schema/Identifier.ts"
import { AgentId, SessionId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"

/** Decodes one argument of a public method; the error names the argument and the rule, never the value. */
export const decodeArgument = <A>(
  schema: Schema.ConstraintDecoder<A, never>,
  field: string,
  value: unknown
): Effect.Effect<A, InvalidInput> =>
  Effect.mapError(
    Schema.decodeUnknownEffect(schema)(value),
    () => new InvalidInput({ field, problem: "must have 1 to 256 visible characters" })
  )

/** An agent and, where there is one, its session. */
export const decodeIds = Effect.fnUntraced(function* (agent: string, session: string | null) {
  const agentId = yield* decodeArgument(AgentId, "agentId", agent)
  return { agentId, sessionId: session === null ? null : yield* decodeArgument(SessionId, "sessionId", session) }
})

/** Why somebody does something, for the audit log: one line of 1 to 1000 characters. */
export const reasonOf = (given: unknown): Effect.Effect<string, InvalidInput> =>
  Effect.mapError(
    decodeReason(given),
    () => new InvalidInput({ field: "reason", problem: "must have 1 to 1000 visible characters" })
  )

const decodeReason = Schema.decodeUnknownEffect(Identifier(1000))
