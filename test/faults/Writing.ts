import { randomUUID } from "node:crypto"
import { Effect, Exit } from "effect"
import type { Audit } from "../../src/services/Audit.ts"
import { type OperationOf, parse, record } from "../../src/testing/History.ts"
import type { Answers, Command } from "./Commands.ts"

/** Where a process writes its operations down. */
export const makeRecorder = (name: string, append: (line: string) => void) => {
  let operations = 0
  return {
    name,
    write: (line: string) => Effect.sync(() => append(line)),
    start: <Op extends OperationOf<"append" | "admit" | "halt" | "resume">["op"], Data>(op: Op, data: Data) => ({
      op,
      id: `${++operations}`,
      process: name,
      data
    })
  }
}
export type Recorder = ReturnType<typeof makeRecorder>

/** A recorder in memory, for a test's own process. */
export const inMemory = (name = "test") => {
  const lines: Array<string> = []
  return { ...makeRecorder(name, (line) => lines.push(line)), history: () => parse([lines.join("")]).history }
}

/** Appends until everything is acknowledged: an event whose outcome is unknown is sent again with the same id. */
export const appendAll = Effect.fnUntraced(function* (
  audit: Audit["Service"],
  { name, start, write }: Recorder,
  command: Omit<Extract<Command, { readonly do: "append" }>, "do">
) {
  const latenciesUs: Array<number> = []
  let retries = 0
  let next = 0
  const one = Effect.gen(function* () {
    const session = `${command.sessions}${next++ % command.chains}`
    const data = { chain: `session:${session}`, event: randomUUID(), seq: null }
    const event = { kind: "tool.call", agentId: "writer", sessionId: session, id: data.event, metadata: { by: name } }
    for (;;) {
      const began = performance.now()
      const sent = command.how === "log" ? audit.log(event) : audit.require(event)
      const exit = yield* sent.pipe(
        record(write, start("append", data), (exit) =>
          Exit.isSuccess(exit) && exit.value.status !== "placeholder"
            ? { outcome: "ok", data: { ...data, seq: exit.value.seq === 0 ? null : exit.value.seq } }
            : { outcome: "indeterminate", data }
        ),
        Effect.exit
      )
      latenciesUs.push(1000 * (performance.now() - began))
      if (Exit.isSuccess(exit)) return
      retries++
      yield* Effect.sleep("20 millis")
    }
  })
  yield* Effect.forEach(Array.from({ length: command.count }), () => one, {
    concurrency: command.fibers,
    discard: true
  })
  latenciesUs.sort((a, b) => a - b)
  // Enough to know the percentiles, little enough for IPC.
  const every = Math.max(1, Math.floor(latenciesUs.length / 2000))
  return {
    acknowledged: command.count,
    retries,
    latenciesUs: latenciesUs.filter((_, i) => i % every === 0)
  } satisfies Answers["append"]
})
