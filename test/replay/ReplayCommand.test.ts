import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { Command } from "effect/cli"
import { TestConsole } from "effect/testing"
import { replay } from "../../src/cli/commands/replay.ts"
import { exitCodeOfExit } from "../../src/cli/ExitCode.ts"
import { governance } from "../../src/cli/Root.ts"
import { bar } from "../../src/cli/replay/ProgressBar.ts"
import { calls, says } from "./Recordings.ts"

const app = Command.runWith(governance.pipe(Command.withSubcommands([replay])), { version: "0" })

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "replay-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Runs the command on a recording: what it printed, and its exit code. */
const command = (lines: ReadonlyArray<unknown>, policy: unknown, ...flags: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const here = yield* directory
    const [recording, file] = [join(here, "sessions.jsonl"), join(here, "policy.json")]
    writeFileSync(
      recording,
      lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("")
    )
    writeFileSync(file, typeof policy === "string" ? policy : JSON.stringify(policy))
    const exit = yield* Effect.exit(app(["replay", recording, "--policy", file, ...flags]))
    return { code: exitCodeOfExit(exit), exit, out: (yield* TestConsole.logLines).join("\n") }
  }).pipe(Effect.provide(Layer.merge(TestConsole.layer, NodeServices.layer), { local: true }), Effect.scoped)

const policy = {
  agents: { "*": { scope: { allowedTools: ["get_*", "cancel"] }, gate: { requireApproval: ["cancel"] } } }
}
const session = {
  id: "s-1",
  model: "gpt-4o",
  messages: [...calls("get_x", {}, "1"), ...calls("drop", {}), ...calls("cancel", {}), says("bye")]
}

describe("governance replay", () => {
  it.live("prints counts, tools, costs that call themselves estimates, and examples, and ends with 0 (DEC-21)", () =>
    Effect.gen(function* () {
      const { code, out } = yield* command([session], policy)
      assert.strictEqual(code, 0)
      for (const said of [
        "1 session, 3 tool calls",
        "would wait for approval",
        "not in the agent's scope",
        "estimates",
        "session s-1, message 2"
      ]) {
        assert.include(out, said)
      }
    })
  )

  it.live("prints JSON that names sessions, calls and the count of every verdict, the same bytes each time", () =>
    Effect.gen(function* () {
      const { out } = yield* command([session], policy, "--json")
      const json = JSON.parse(out)
      assert.deepStrictEqual(
        json.sessions[0].calls.map((call: { name: string; verdict: string }) => [call.name, call.verdict]),
        [
          ["gpt-4o", "allowed"],
          ["get_x", "allowed"],
          ["gpt-4o", "allowed"],
          ["drop", "ScopeViolation"],
          ["gpt-4o", "allowed"],
          ["cancel", "ApprovalPending"],
          ["gpt-4o", "allowed"]
        ]
      )
      assert.strictEqual(json.sessions[0].id, "s-1")
      assert.deepStrictEqual(
        [json.totals.verdicts.allowed, json.totals.verdicts.BudgetExceeded, json.totals.costs],
        [5, 0, "estimated"]
      )
      assert.strictEqual((yield* command([session], policy, "--json")).out, out)
    })
  )

  it.live("ends with 1 only when --fail-on-stop is given and something would have been stopped (DEC-21, L-06)", () =>
    Effect.gen(function* () {
      const stopped = yield* command([session], policy, "--fail-on-stop")
      assert.strictEqual(stopped.code, 1)
      assert.include(stopped.out, "1 session")
      const clean = yield* command([{ messages: calls("get_x", {}) }], policy, "--fail-on-stop")
      assert.strictEqual(clean.code, 0)
    })
  )

  it.live("ends with 2 and prints nothing for a malformed line or policy, also when the fault comes last (L-06)", () =>
    Effect.gen(function* () {
      const line = yield* command([session, "{oops"], policy, "--json")
      assert.deepStrictEqual([line.code, line.out], [2, ""])
      assert.isTrue(Exit.isFailure(line.exit) && String(line.exit.cause).includes("line 2"))
      for (const wrong of ["{", { agents: {} }, { agents: { "*": { budget: { perSesionUsd: 1 } } } }]) {
        const { code, out } = yield* command([session], wrong)
        assert.deepStrictEqual([code, out], [2, ""])
      }
      const skipped = yield* command([session, "{oops"], policy, "--skip-invalid")
      assert.strictEqual(skipped.code, 0)
      assert.include(skipped.out, "line 2 left out: it is not JSON")
    })
  )

  it.live("shows names from a recording without their control characters (L-07)", () =>
    Effect.gen(function* () {
      const evil = "\u001b]8;;http://x\u0007click\u001b[31m\u202e"
      const { code, out } = yield* command(
        [{ id: `a${evil}`, agent: `b${evil}`, messages: calls(evil, { a: evil }, evil) }],
        policy
      )
      assert.strictEqual(code, 0)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
      assert.notMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
    })
  )
})

describe("the progress bar", () => {
  it("is drawn once for each percent", () => {
    const show = bar("replaying", 1000)
    const drawn = Array.from({ length: 1000 }, (_, i) => show(i + 1, i)).filter((line) => line._tag === "Some")
    assert.strictEqual(drawn.length, 101)
    assert.include(JSON.stringify(drawn.at(-1)), "100%")
  })
})
