import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { compiled } from "../support/Compiled.ts"

let dist = ""
const data = mkdtempSync(join(tmpdir(), "governance-compiled-"))

const governance = (...args: ReadonlyArray<string>) =>
  execFileSync(process.execPath, [join(dist, "cli/main.js"), ...args, "--data-dir", join(data, "db")], {
    cwd: data,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })

describe("the compiled package", () => {
  beforeAll(async () => {
    dist = await compiled()
  }, 120_000)
  afterAll(() => rmSync(data, { recursive: true, force: true }))

  it("brings its own database and migrations: what it writes, it verifies (MIG-05)", { timeout: 60_000 }, () => {
    governance("emit", "package.tried", "--agent", "packer")
    const report = JSON.parse(governance("verify", "--json"))
    assert.strictEqual(report.verdict, "ok")
    assert.strictEqual(report.rows, 1)
  })

  it("shows the SQL of every migration without running it (CLI-01, DEC-16)", { timeout: 60_000 }, () => {
    const plan = governance("migrate", "--dry-run", "--schema", "another")
    assert.include(plan, "governance_audit_events")
    assert.include(plan, "governance_admit")
  })
})
