import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../..")

/** What a program says by itself; the library's log says besides that a call waits for a person. */
const lines = (program: string) =>
  execFileSync(process.execPath, ["--conditions=effect-governance-source", join("examples", program)], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, OPENAI_API_KEY: "" }
  })
    .replaceAll(/^\[[\d:.]+\] INFO .*? approval\.waiting \{$.*?^\}\n/gms, "")
    .trim()
    .split("\n")

describe("examples of effect/ai and MCP", () => {
  it("effect-ai.ts answers, streams, runs a tool, refuses one, and refunds once a person has approved (BEY-03, GAT-04)", () => {
    assert.deepStrictEqual(lines("effect-ai.ts"), [
      "where is my parcel: It is on its way.",
      "tell me again: streamed",
      "look up A-17: A-17 is in the van",
      "wipe it: refused: Agent clerk may not use tool wipe; the policy of clerk allows lookup, refund",
      'rita approves: refund {"order":"A-17","usd":1200}',
      "refund 1200: refunded 1200 for A-17",
      "spent $0.000025"
    ])
  })

  it("mcp.ts governs a server for its visitors and an agent for its server (BEY-03, SCP-06)", () => {
    assert.deepStrictEqual(lines("mcp.ts"), [
      "visitor sees: refund",
      "visitor, wipe: refused: MCP error -32602: Tool wipe not found",
      "visitor, refund: refused: MCP error -32010: waits for a person (request <id>); make the same call again afterwards",
      'rita approves: refund {"order":"A-17","usd":30}',
      'visitor, refund: [{"type":"text","text":"refunded 30 for A-17"}]',
      'clerk, refund: [{"type":"text","text":"refunded 30 for A-17"}]',
      "clerk, wipe: refused: Agent clerk may not use tool mcp.shop.wipe; the policy of clerk allows mcp.shop.refund",
      "clerk, refund: refused: Agent clerk needs $30.00; its budget of the session has $20.00 of $50.00 left"
    ])
  })
})
