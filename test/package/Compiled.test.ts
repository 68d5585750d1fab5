import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"

const root = join(import.meta.dirname, "../..")
// Beside the sources, so that it finds its dependencies as an installed package does.
const compiled = mkdtempSync(join(root, ".compiled-"))
const data = mkdtempSync(join(tmpdir(), "governance-compiled-"))

const governance = (...args: ReadonlyArray<string>) =>
  execFileSync(process.execPath, [join(compiled, "cli/main.js"), ...args, "--data-dir", join(data, "db")], {
    cwd: data,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })

describe("the compiled package", () => {
  beforeAll(() => {
    execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json", "--outDir", compiled], {
      cwd: root
    })
  }, 120_000)
  afterAll(() => {
    for (const directory of [compiled, data]) rmSync(directory, { recursive: true, force: true })
  })

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
