import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../..")

const run = (program: string): ReadonlyArray<string> =>
  execFileSync(process.execPath, ["--conditions=effect-governance-source", join("examples", program)], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, OPENAI_API_KEY: "", ANTHROPIC_API_KEY: "" }
  })
    .trim()
    .split("\n")

describe("examples of governed clients", () => {
  it("openai.ts answers, streams and runs a tool, and refuses what is too dear, ungoverned or halted (ENT-18, WRP-02)", () => {
    const lines = run("openai.ts")
    assert.deepStrictEqual(lines.slice(0, 4), [
      "a question: It is.",
      "a stream: It is.",
      "looks for parcel 7",
      "a tool that runs: It is."
    ])
    assert.match(lines[4] ?? "", /^100,000 tokens: refused, Agent clerk needs \$0\.06/)
    assert.match(lines[5] ?? "", /^a batch: refused, POST \/batches of openai is not governed/)
    assert.strictEqual(lines[6], "spent less than a tenth of a cent")
    assert.match(lines[7] ?? "", /^halted: refused, Agent clerk was halted by ada@example.org/)
    assert.strictEqual(lines.length, 8)
  })

  it("anthropic.ts runs a tool and streams, and refuses what is too dear or halted (ENT-18, WRP-02)", () => {
    const lines = run("anthropic.ts")
    assert.deepStrictEqual(lines.slice(0, 3), ["paid 20", "a run with a tool: It is done.", "a stream: It is done."])
    assert.match(lines[3] ?? "", /^60,000 tokens: refused, Agent clerk needs \$0\.30/)
    assert.match(lines[4] ?? "", /^halted: refused, Agent clerk was halted by ada@example.org/)
    assert.strictEqual(lines.length, 5)
  })
})
