import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { withoutLog } from "./Programs.ts"

const root = join(import.meta.dirname, "../..")

const run = (program: string, ...args: ReadonlyArray<string>) =>
  execFileSync(process.execPath, ["--conditions=effect-governance-source", join("examples", program), ...args], {
    cwd: root,
    encoding: "utf8"
  })

describe("examples", () => {
  it("approval.ts lets 999.99 through, waits with 1000.00 for a colleague, and runs it once (BEY-02, GAT-04)", () => {
    assert.deepStrictEqual(withoutLog(run("approval.ts")).trim().split("\n"), [
      "refunded 999.99",
      'rita approves: refund {"order":"A-17","usd":"1000.00"} by clerk',
      "refunded 1000.00",
      "1000.00 did not run: refund by agent clerk waits for the approval of a person"
    ])
  })

  it("shared-budget.ts lets two of three calls through, and none when it runs again on the same data (BEY-01, DEC-18)", () => {
    const directory = mkdtempSync(join(tmpdir(), "governance-example-"))
    try {
      const first = run("shared-budget.ts", join(directory, "data"))
      assert.strictEqual(first.match(/ ran$/gm)?.length, 2)
      assert.include(first, "its daily budget has $2.00 of $10.00 left")
      const second = run("shared-budget.ts", join(directory, "data"))
      assert.strictEqual(second.match(/was stopped/g)?.length, 3)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it("langchain.ts pays an order back and drops no table (WRP-07, THR-07)", () => {
    assert.deepStrictEqual(run("langchain.ts").trim().split("\n"), [
      "The order is paid back.",
      "Agent clerk may not use tool drop_table; the policy of clerk allows refund"
    ])
  })

  it("otel.ts sends calls, usage, cost and a refusal to a collector, and no password (OTL-01, OTL-02)", () => {
    assert.deepStrictEqual(run("otel.ts").trim().split("\n"), [
      "chat gpt-4o",
      "  gen_ai.usage.input_tokens = 12",
      "  gen_ai.usage.output_tokens = 3",
      "  governance.decision = allowed",
      "  governance.cost.usd = 0.00006",
      "execute_tool refund",
      "  governance.decision = allowed",
      "  governance.cost.usd = 0",
      "execute_tool delete order, password=[redacted]",
      "  error.type = ScopeViolation",
      "  governance.decision = refused"
    ])
  })

  it("ai-sdk.ts runs a refund once: not by a yes in the chat, and not again with the same history (BEY-02, BEY-03)", () => {
    const lines = run("ai-sdk.ts").trim().split("\n")
    assert.match(lines.pop() ?? "", /^refused: Agent clerk was halted by rita@example.org/)
    assert.deepStrictEqual(lines, [
      "stopped: a person has to approve",
      "somebody says yes in the chat:",
      "refused: refund by agent clerk waits for the approval of a person",
      'rita approves: refund {"order":"A-17","usd":"1000.00"}',
      "  pays 1000.00 back for A-17",
      "Done.",
      "the same history again:",
      "Done."
    ])
  })

  it("openai-agents.ts runs a refund once: not by a yes in the saved run, and not when it is resumed again (BEY-02, BEY-03)", () => {
    const lines = run("openai-agents.ts").trim().split("\n")
    assert.match(lines.pop() ?? "", /^refused: Agent clerk was halted by rita@example.org/)
    assert.deepStrictEqual(lines, [
      "stopped: a person has to approve",
      "somebody approves it in the saved run:",
      "refused: Failed to run function tools: ApprovalPending: refund by agent clerk waits for the approval of a person",
      'rita approves: refund {"order":"A-17","usd":"1000.00"}',
      "  pays 1000.00 back for A-17",
      "Done.",
      "the same saved run again:",
      "Done."
    ])
  })
})
