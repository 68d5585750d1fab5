import { assert, describe, it } from "@effect/vitest"
import { Option, Result } from "effect"
import { LineSplitter, maxLineBytes } from "../../src/cli/replay/Lines.ts"
import { estimateInputTokens } from "../../src/schema/Pricing.ts"
import { timelineOf } from "../../src/schema/RecordedSteps.ts"
import { argumentsOf, momentOf, parseSession, sessionIdOf } from "../../src/schema/Recording.ts"
import { calls, says, user } from "./Recordings.ts"

const session = (value: unknown) => Result.getOrThrow(parseSession(JSON.stringify(value)))

describe("a recorded session (BEY-14)", () => {
  it("is named by its id, its session_id, its task and trial, or its line", () => {
    const nameOf = (value: object) => sessionIdOf(session({ messages: [], ...value }), 9)
    assert.deepStrictEqual(
      [{ id: "a", task_id: 1 }, { session_id: 4 }, { task_id: 0, trial: 3 }, { task_id: 0 }, { id: null }].map(nameOf),
      ["a", "4", "0-3", "0", "line-9"]
    )
  })

  it("may carry moments as seconds, milliseconds or text; nonsense counts as none", () => {
    const moments = [1_700_000_000, 1_700_000_000_000, "2023-11-14T22:13:20Z", "soon", -5, 1e20, null].map(
      (timestamp) => Option.getOrNull(momentOf({ timestamp }))
    )
    assert.deepStrictEqual(moments, [1_700_000_000_000, 1_700_000_000_000, 1_700_000_000_000, null, null, null, null])
  })

  it("has arguments as values, whatever their spelling; what is no JSON stays text and is marked", () => {
    assert.deepStrictEqual(argumentsOf('{"b": 1}'), { value: { b: 1 }, broken: false })
    assert.deepStrictEqual(argumentsOf({ b: 1 }), { value: { b: 1 }, broken: false })
    assert.deepStrictEqual(argumentsOf(undefined), { value: {}, broken: false })
    assert.deepStrictEqual(argumentsOf("{b"), { value: "{b", broken: true })
  })

  it("advances one second a message where nothing was recorded, and never runs backwards", () => {
    const { endMs, steps } = timelineOf(
      session({
        model: "gpt-4o",
        messages: [user("a"), says("b"), says("c", { timestamp: 100 }), says("d", { timestamp: 50 }), says("e")]
      }),
      5_000
    )
    assert.deepStrictEqual(
      steps.map(({ atMs }) => atMs),
      [6_000, 100_000, 100_000, 101_000]
    )
    assert.strictEqual(endMs, 102_000)
  })

  it("counts the conversation so far as the input of a reply, unless the recording has usage", () => {
    const { steps } = timelineOf(
      session({
        model: "gpt-4o",
        messages: [
          user("how are you?"),
          says("fine"),
          says("really", { usage: { prompt_tokens: 70, completion_tokens: 3 } })
        ]
      }),
      0
    )
    const [first, second] = steps.map((step) => (step.kind === "llm" ? step : assert.fail("a tool")))
    assert.deepStrictEqual(
      [first!.usage.inputTokens, first!.usage.outputTokens, first!.estimated],
      [estimateInputTokens("how are you?"), estimateInputTokens("fine"), true]
    )
    assert.deepStrictEqual([second!.usage.inputTokens, second!.usage.outputTokens, second!.estimated], [70, 3, false])
  })

  it("gives each tool call the answer with its id, or the one at its place where ids repeat or are missing", () => {
    const call = (id: string | undefined, name: string) => ({ ...(id === undefined ? {} : { id }), function: { name } })
    const answer = (tool_call_id: string | undefined, content: string) => ({
      role: "tool",
      content,
      ...(tool_call_id === undefined ? {} : { tool_call_id })
    })
    const { steps } = timelineOf(
      session({
        messages: [
          { role: "assistant", tool_calls: [call("a", "one"), call("b", "two")] },
          answer("b", "of b"),
          answer("a", "of a"),
          { role: "assistant", tool_calls: [call("a", "three"), call(undefined, "four"), call("z", "five")] },
          answer("a", "again"),
          answer(undefined, "fourth"),
          { role: "assistant", tool_calls: [call("a", "six")] }
        ]
      }),
      0
    )
    assert.deepStrictEqual(
      steps.map((step) => (step.kind === "tool" ? [step.tool, step.result] : [])),
      [
        ["one", "of a"],
        ["two", "of b"],
        ["three", "again"],
        ["four", "fourth"],
        ["five", undefined],
        ["six", undefined]
      ]
    )
  })

  it("is refused with the place of the fault when it is none", () => {
    const faultOf = (line: string) =>
      Result.match(parseSession(line), { onSuccess: () => "", onFailure: (fault) => fault })
    assert.strictEqual(faultOf("{]"), "is not JSON")
    const broken = faultOf(
      JSON.stringify({ messages: [...calls("x", {}), { role: "assistant", tool_calls: [{ function: {} }] }] })
    )
    assert.match(broken, /messages.*1.*tool_calls.*0.*function.*name/)
    assert.isBelow(faultOf(JSON.stringify({ messages: Array.from({ length: 1000 }, () => ({})) })).length, 400)
  })
})

describe("lines of a file", () => {
  const split = (...pieces: ReadonlyArray<Uint8Array | string>) => {
    const splitter = new LineSplitter()
    const bytes = pieces.map((piece) => (typeof piece === "string" ? new TextEncoder().encode(piece) : piece))
    return [...bytes.flatMap((piece) => splitter.push(piece)), ...splitter.end()].map(({ content, number }) => [
      number,
      Result.match(content, { onSuccess: (text) => text.trim(), onFailure: (problem) => `! ${problem}` })
    ])
  }

  it("come out whole, wherever the pieces are cut, with the numbers that an editor shows", () => {
    const bytes = new TextEncoder().encode('\ufeff{"ä":1}\r\n\n{"€":2}\nlast')
    const whole = split(bytes)
    assert.deepStrictEqual(whole, [
      [1, '{"ä":1}'],
      [3, '{"€":2}'],
      [4, "last"]
    ])
    for (let cut = 0; cut < bytes.length; cut++)
      assert.deepStrictEqual(split(bytes.slice(0, cut), bytes.slice(cut)), whole)
  })

  it("are refused when they are no UTF-8 or longer than 16 MiB, without keeping them in memory (R-13)", () => {
    assert.deepStrictEqual(split(Uint8Array.of(0xff, 0x0a), "next"), [
      [1, "! is not UTF-8 text"],
      [2, "next"]
    ])
    const piece = new Uint8Array(maxLineBytes / 4).fill(0x61)
    assert.deepStrictEqual(split(piece, piece, piece, piece, "b\nnext\n"), [
      [1, "! is longer than 16 MiB"],
      [2, "next"]
    ])
  })
})
