import { Effect, Schema } from "effect"
import { Argument, Flag } from "effect/cli"
import { AgentId, ChainId, SessionId } from "../schema/Ids.ts"
import { UsageError } from "./CliFailure.ts"

export const agent = Argument.String("agent").pipe(Argument.withDescription("The agent's id"))

export const session = Flag.String("session").pipe(
  Flag.withMetavar("id"),
  Flag.withDescription("Only this session"),
  Flag.optional
)

const decode =
  <A>(schema: Schema.ConstraintDecoder<A, never>, subject: string, problem: string, todo: string) =>
  (value: string) =>
    Effect.mapError(Schema.decodeUnknownEffect(schema)(value), () => new UsageError({ subject, problem, todo }))

export const agentIdOf = decode(
  AgentId,
  "The agent's id",
  "must have 1 to 256 visible characters",
  "`governance agents` lists them."
)
export const sessionIdOf = decode(
  SessionId,
  "The session's id",
  "must have 1 to 256 visible characters",
  "`governance tail` shows them."
)
export const chainIdOf = decode(
  ChainId,
  "--chain",
  "must be session:<id>, agent:<id> or operator",
  "For a session, --session <id> is the same as --chain session:<id>."
)
