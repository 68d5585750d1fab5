import { Effect } from "effect"
import type { ApprovalOptions } from "../schema/CallPlan.ts"
import type { JsonValue } from "../schema/Json.ts"
import { governedTool } from "../services/GovernedTool.ts"
import { outside } from "./CurrentCall.ts"
import { type Host, promise } from "./Host.ts"
import { assertOwner } from "./Owner.ts"

/** For whom a tool runs, and how. Tools of frameworks that stop a run for a person are in `ToolApproval`. */
export interface ToolOptions {
  /** The Promise facade, or what `Host.make` gives an Effect program. */
  readonly governance: Host
  readonly agentId: string
  readonly sessionId?: string | undefined
  readonly tool: string
  /** What one use costs at most, in dollars. */
  readonly maxUsd?: number | string | undefined
  readonly approval?: ApprovalOptions | undefined
  readonly metadata?: unknown
  /** The framework's own name for this use: a resumed run with the same key finds its approval again, and runs once (BEY-02). */
  readonly callKey?: string | undefined
  /** Gives up waiting, and is passed on to the function. */
  readonly signal?: AbortSignal | null | undefined
}

/** The arguments as the rooms have seen them, or as a reviewer changed them; the signal aborts on a halt. */
export type ToolFunction<A> = (input: JsonValue, signal: AbortSignal) => A | PromiseLike<A>

/** Uses a tool once, as a governed call. Rejects with the refusal itself, or with what the function threw. */
export const useTool = <A>(options: ToolOptions, input: unknown, run: ToolFunction<A>): Promise<A> => {
  const { governance, signal, ...call } = options
  const used = governedTool(call)((approved, ticket) =>
    Effect.callback<A, unknown>((resume) => {
      const controller = new AbortController()
      const unwatch = ticket.watchHalt((error) => controller.abort(error))
      const both = AbortSignal.any([controller.signal, ...(signal == null ? [] : [signal])])
      Promise.resolve()
        .then(() => outside(() => run(input === undefined && approved === null ? none : approved, both)))
        .then(
          (result) => resume(Effect.succeed(result)),
          (error) => resume(Effect.fail(error))
        )
        .finally(unwatch)
      return Effect.sync(() => {
        unwatch()
        if (!controller.signal.aborted) controller.abort()
      })
    })
  )
  return promise(governance, used(input === undefined ? null : input), signal)
}

// Who is called without an argument gets none: a default value in its place must come about as ever.
const none = undefined as unknown as JsonValue

/** Any function of plain arguments, behind every room: the same signature, one governed call for each use. */
export const governTool = <Input, A>(
  options: Omit<ToolOptions, "callKey" | "signal">,
  run: (input: Input, signal: AbortSignal) => A | PromiseLike<A>
) => {
  assertOwner(options)
  return (input: Input, use: Pick<ToolOptions, "callKey" | "signal"> = {}): Promise<A> =>
    // What the rooms hand on is a copy of what the caller gave, or what a reviewer put in its place.
    useTool({ ...options, ...use }, input, (approved, signal) => run(approved as Input, signal))
}
