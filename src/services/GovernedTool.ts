import { Effect, Option, Schema } from "effect"
import type { CallOptions } from "../schema/CallPlan.ts"
import { escape, unescape } from "../schema/Escape.ts"
import { ApprovalDenied } from "../schema/Gate.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { type JsonValue, type MarkedJson, snapshotMarked } from "../schema/Json.ts"
import { Marked } from "../schema/Marked.ts"
import type { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import type { Refusal } from "../schema/Refusal.ts"
import { Gates } from "./Gates.ts"
import { Governor, type Ticket } from "./Governor.ts"

/** The call of a tool whose arguments come with each use. */
export type ToolCallOptions = Omit<Extract<CallOptions, { readonly tool: string }>, "input">

/**
 * Runs a function as the call of a tool. It gets the snapshot that the rooms have seen, never the caller's own object (T-06),
 * and where a reviewer changed the arguments, those: then every room is passed again with them (BEY-10).
 */
export const governedTool =
  (call: ToolCallOptions) =>
  <A, E, R>(use: (input: JsonValue, ticket: Ticket) => Effect.Effect<A, E, R>) =>
  (input: unknown): Effect.Effect<A, E | Refusal | ModuleDisabledError, R | Governor | Gates> =>
    Effect.gen(function* () {
      const gates = yield* Gates
      const taken = yield* Effect.mapError(
        Effect.fromResult(snapshotMarked(input)),
        (error) => new InvalidInput({ field: "input", problem: error.message })
      )
      const run = (value: MarkedJson, approval: CallOptions["approval"]) =>
        Governor.use((governor) =>
          governor.run({ ...call, input: value, approval }, (ticket) => use(plain(value), ticket))
        )
      return yield* Effect.catchIf(run(taken, call.approval), isEdited, (denied) =>
        Effect.flatMap(gates.editedArguments(denied.requestId ?? ""), (edited) =>
          Option.match(Option.flatMap(edited, decodeJson), {
            onNone: () => Effect.fail(denied),
            onSome: (stored) => run(unescape(stored), { ...call.approval, request: denied.requestId ?? undefined })
          })
        )
      )
    })

/** The same with a person in between, whatever the policy says (GAT-04). */
export const requireApproval = (call: ToolCallOptions) =>
  governedTool({ ...call, approval: { ...call.approval, required: true } })

/** Marks are for what is stored: the function acts on the values themselves. */
const plain = (value: MarkedJson): JsonValue => unescape(escape(value, (marked) => escape(Marked.reveal(marked))))

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))
const isEdited = (error: unknown): error is ApprovalDenied =>
  error instanceof ApprovalDenied && error.problem === "edited"
