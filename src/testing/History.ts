/**
 * What happened in a concurrent or fault test, as every process saw it: append-only JSON lines that the checkers read
 * (BEY-18, threats 2.12). An operation whose process died, or whose answer was lost, may have happened: `indeterminate`.
 */
import { Clock, Effect, type Exit, Option, Schema } from "effect"

const Outcome = Schema.Literals(["ok", "fail", "indeterminate"])
export type Outcome = typeof Outcome.Type

const operation = <Op extends string, Data extends Schema.Struct.Fields>(op: Op, data: Data) =>
  Schema.Struct({
    op: Schema.Literal(op),
    /** Unique within its process. */
    id: Schema.String,
    process: Schema.String,
    /** Monotonic nanoseconds, one clock for all processes of a machine. */
    invokeNs: Schema.BigInt,
    /** Null while nobody has seen it complete. */
    completeNs: Schema.NullOr(Schema.BigInt),
    /** `fail`: it certainly did not happen. */
    outcome: Outcome,
    data: Schema.Struct(data)
  })

const Seq = Schema.Int.check(Schema.isGreaterThan(0))

/** An event was written to a chain; `seq` as acknowledged. */
export const Append = operation("append", {
  chain: Schema.String,
  event: Schema.String,
  seq: Schema.NullOr(Seq)
})
/** A call was asked for; `agents` is its path of delegation, `held` nano-USD. */
export const Admit = operation("admit", {
  ticket: Schema.String,
  agents: Schema.Array(Schema.String),
  verdict: Schema.Literals(["Admitted", "Halted", "Looping", "Short", "unknown"]),
  held: Schema.BigInt
})
/** A call ended; `charged` nano-USD. */
export const Settle = operation("settle", { ticket: Schema.String, charged: Schema.BigInt })
export const Halt = operation("halt", { agent: Schema.String })
export const Resume = operation("resume", { agent: Schema.String })
/** An approved action ran by its grant. */
export const Consume = operation("consume", { grant: Schema.String })
/** The library was used while `fault` (null: none) was active. */
export const Use = operation("use", {
  kind: Schema.Literals(["enforcement", "observation"]),
  fault: Schema.NullOr(Schema.String),
  answer: Schema.Literals(["allowed", "refused", "storeError", "returned", "threw"])
})

export const Operation = Schema.Union([Append, Admit, Settle, Halt, Resume, Consume, Use])
export type Operation = typeof Operation.Type
export type OperationOf<Op extends Operation["op"]> = Extract<Operation, { readonly op: Op }>
export type History = ReadonlyArray<Operation>

const Line = Schema.fromJsonString(Schema.toCodecJson(Operation))
const decodeLine = Schema.decodeUnknownOption(Line)

export const formatLine = (entry: Operation): string => `${Schema.encodeSync(Line)(entry)}\n`

/**
 * Reads the lines of one or more processes. A later line of the same operation replaces its earlier one, and a last line
 * that its process did not finish is dropped. Any other line that is no operation is counted in `unreadable`.
 */
export const parse = (texts: ReadonlyArray<string>): { readonly history: History; readonly unreadable: number } => {
  const found = new Map<string, Operation>()
  let unreadable = 0
  for (const text of texts) {
    const lines = text.split("\n")
    lines.pop()
    for (const line of lines) {
      const entry = decodeLine(line)
      if (Option.isSome(entry)) found.set(JSON.stringify([entry.value.process, entry.value.id]), entry.value)
      else unreadable += 1
    }
  }
  return {
    history: [...found.values()].sort((a, b) => (a.invokeNs < b.invokeNs ? -1 : a.invokeNs > b.invokeNs ? 1 : 0)),
    unreadable
  }
}

export const ofKind = <Op extends Operation["op"]>(history: History, op: Op): ReadonlyArray<OperationOf<Op>> =>
  history.filter((entry): entry is OperationOf<Op> => entry.op === op)

/**
 * Runs an operation and writes it down twice: when it is invoked, so that a killed process leaves it as indeterminate, and
 * when its outcome is known.
 */
export const record =
  <Op extends Operation["op"], A, E>(
    write: (line: string) => Effect.Effect<void>,
    start: Omit<OperationOf<Op>, "invokeNs" | "completeNs" | "outcome">,
    judge: (exit: Exit.Exit<A, E>) => { readonly outcome: Outcome; readonly data: OperationOf<Op>["data"] }
  ) =>
  <R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      const invokeNs = yield* Clock.monotonicTimeNanos
      const line = (rest: { readonly completeNs: bigint | null; readonly outcome: Outcome; readonly data: unknown }) =>
        Effect.flatMap(
          Effect.orDie(Schema.decodeUnknownEffect(Schema.toType(Operation))({ ...start, invokeNs, ...rest })),
          (entry) => write(formatLine(entry))
        )
      yield* line({ completeNs: null, outcome: "indeterminate", data: start.data })
      const exit = yield* Effect.exit(self)
      yield* line({ completeNs: yield* Clock.monotonicTimeNanos, ...judge(exit) })
      return yield* exit
    })
