import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as History from "../../src/testing/History.ts"

describe("History", () => {
  it.prop("reads back every operation it writes (BEY-18)", { entry: History.Operation }, ({ entry }) => {
    const { history, unreadable } = History.parse([History.formatLine(entry)])
    assert.deepStrictEqual([...history], [entry])
    assert.strictEqual(unreadable, 0)
  })

  it.effect("records an operation with its times and its outcome (BEY-18)", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const write = (line: string) => Effect.sync(() => void lines.push(line))
      const consume = (id: string) =>
        History.record<"consume", string, string>(
          write,
          { op: "consume", id, process: "p1", data: { grant: "g" } },
          (exit) => ({
            outcome: Exit.isSuccess(exit) ? "ok" : "fail",
            data: { grant: "g" }
          })
        )
      assert.strictEqual(yield* consume("1")(Effect.succeed("done")), "done")
      assert.strictEqual(yield* Effect.flip(consume("2")(Effect.fail("no"))), "no")
      const { history } = History.parse([lines.join("")])
      assert.deepStrictEqual(
        history.map(({ id, outcome }) => [id, outcome]),
        [
          ["1", "ok"],
          ["2", "fail"]
        ]
      )
      assert.isTrue(history.every(({ completeNs, invokeNs }) => completeNs !== null && completeNs >= invokeNs))
    })
  )

  it.effect("keeps what was running when its process died as indeterminate (BEY-18)", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const fiber = yield* Effect.never.pipe(
        History.record<"halt", never, never>(
          (line) => Effect.sync(() => void lines.push(line)),
          { op: "halt", id: "1", process: "p1", data: { agent: "a" } },
          () => ({ outcome: "ok", data: { agent: "a" } })
        ),
        Effect.forkChild({ startImmediately: true })
      )
      const { history } = History.parse([lines.join("")])
      assert.deepStrictEqual(
        history.map(({ completeNs, outcome }) => [outcome, completeNs]),
        [["indeterminate", null]]
      )
      fiber.interruptUnsafe()
    })
  )

  it("drops a line that its process did not finish and counts any other that it cannot read (F-01)", () => {
    const whole = History.formatLine({
      ...{ op: "halt", id: "1", process: "p", invokeNs: 1n, completeNs: 2n, outcome: "ok", data: { agent: "a" } }
    })
    const { history, unreadable } = History.parse([
      `${whole}{"op":"halt"}\n`,
      whole.replace('"1"', '"2"') + whole.slice(0, 20)
    ])
    assert.deepStrictEqual(
      history.map(({ id }) => id),
      ["1", "2"]
    )
    assert.strictEqual(unreadable, 1)
  })
})
