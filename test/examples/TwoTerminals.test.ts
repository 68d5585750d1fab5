import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { within } from "./Programs.ts"

const root = join(import.meta.dirname, "../..")
const source = "--conditions=effect-governance-source"

interface Card {
  readonly token: string
  readonly requestId: string
  readonly state: string
}

describe("examples/two-terminals.ts", () => {
  it("waits, is killed, waits for the same request, takes the reviewer's arguments from another process, runs once (BEY-10, BEY-02, GAT-03)", async () => {
    const directory = mkdtempSync(join(tmpdir(), "governance-example-"))
    const started: Array<ChildProcess> = []
    const start = () => {
      const child = spawn(
        process.execPath,
        [source, join(root, "examples/two-terminals.ts"), join(directory, "data")],
        {
          cwd: directory,
          stdio: ["ignore", "pipe", "inherit"]
        }
      )
      started.push(child)
      let out = ""
      child.stdout.on("data", (part) => (out += part))
      const ended = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)))
      return { child, ended, out: () => out }
    }
    const governance = (...args: ReadonlyArray<string>) =>
      execFileSync(process.execPath, [join(root, "src/cli/main.ts"), ...args, "--data-dir", join(directory, "data")], {
        cwd: directory,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"]
      })
    const cards = (...args: ReadonlyArray<string>): ReadonlyArray<Card> =>
      JSON.parse(governance("approvals", "--json", ...args))
    try {
      const first = start()
      await within(() => first.out().includes("approval.waiting"))
      const [asked] = cards()
      first.child.kill("SIGKILL")
      await first.ended
      const second = start()
      await within(() => second.out().includes("approval.waiting"))
      const [again, ...others] = cards()
      assert.deepStrictEqual([again?.requestId, again?.token, others], [asked?.requestId, asked?.token, []])
      const edited = '{"order":"A-17","usd":"10.00"}'
      assert.match(
        governance("grant", again?.token ?? "", "--by", "rita@example.org", "--arguments", edited),
        /^Granted/
      )
      assert.strictEqual(await second.ended, 0)
      assert.strictEqual(
        second
          .out()
          .split("\n")
          .filter((line) => line === `refunded ${edited}`).length,
        1
      )
      assert.notInclude(first.out(), "refunded")
      assert.deepStrictEqual(
        cards("--all").map(({ state }) => state),
        ["consumed"]
      )
    } finally {
      for (const child of started) child.kill("SIGKILL")
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
    }
  }, 180_000)
})
