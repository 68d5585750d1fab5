import { spawn } from "node:child_process"
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schedule } from "effect"
import { scenes } from "../../src/cli/demo/Sessions.ts"

const root = join(import.meta.dirname, "../..")

/** A directory that stands in for the machine's temporary one: what the demo leaves behind is in it, or runs from it. */
const temporary = Effect.acquireRelease(
  Effect.sync(() => {
    const path = mkdtempSync(join(tmpdir(), "demo-test-"))
    chmodSync(path, 0o1777)
    return path
  }),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Runs the demo as a process of its own. What its caller has set must not reach it. */
const demo = (directory: string, args: ReadonlyArray<string>, interruptAt?: string) =>
  Effect.callback<{ readonly code: number | null; readonly out: string; readonly error: string }>((resume) => {
    const child = spawn(process.execPath, [join(root, "src/cli/main.ts"), "demo", ...args], {
      cwd: directory,
      env: {
        ...process.env,
        TMPDIR: directory,
        GOVERNANCE_DATABASE_URL: "postgresql://nobody@127.0.0.1:1/none",
        GOVERNANCE_AUDIT_SECRET: "weak",
        GOVERNANCE_COST_STRICT_UNKNOWN_MODELS: "perhaps"
      }
    })
    let out = ""
    let error = ""
    child.stdout.on("data", (chunk) => {
      out += chunk
      if (interruptAt !== undefined && out.includes(interruptAt)) child.kill("SIGINT")
    })
    child.stderr.on("data", (chunk) => {
      error += chunk
    })
    child.on("close", (code) => resume(Effect.succeed({ code, out, error })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Command lines of processes that run from the directory, and the files in it. */
const remains = (directory: string): ReadonlyArray<string> => {
  const processes = existsSync("/proc") ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : []
  return [
    ...processes
      .map((pid) =>
        Result.getOrElse(
          Result.try(() => readFileSync(`/proc/${pid}/cmdline`, "utf8")),
          () => ""
        )
      )
      .filter((line) => line.includes(directory)),
    // A copy of the server's binaries is kept where an unprivileged user can run them, for the next time.
    ...readdirSync(directory).filter((name) => !/^effect-governance-(root$|postgres-)/.test(name))
  ]
}

const nothingRemains = (directory: string) =>
  Effect.suspend(() => {
    const left = remains(directory)
    return left.length === 0 ? Effect.void : Effect.fail(left)
  }).pipe(
    Effect.retry(Schedule.spaced("100 millis").pipe(Schedule.upTo({ times: 100 }))),
    Effect.catch((left) => Effect.sync(() => assert.deepStrictEqual(left, [])))
  )

const promised = [
  ["an allowed call", /allowed +refund_order +A-1001, \$18\.40/],
  ["what a model call cost", /allowed +asks gpt-4o +\$0\.00\d+/],
  [
    "a tool that is not listed, and why",
    /STOPPED +send_email[\s\S]*send_email is not on the list of what support-agent may use/
  ],
  [
    "a budget that runs out, and why",
    /STOPPED +refund_order +A-0961, \$25\.00\s+It takes \$25\.00, but this conversation has \$4\.99 of \$50\.00 left/
  ],
  ["a loop, and why", /STOPPED +track_parcel +P-1004\s+The same call with the same answer, 3 times in a row: 2 are/],
  ["a call that waits for a person", /WAITS +close_account[\s\S]*A person has to approve this first/],
  ["its approval by a colleague", /governance grant v2:[\s\S]*allowed +close_account[\s\S]*approved by ada/],
  ["that an approval is good for one call", /WAITS +close_account[\s\S]*One approval is good for one call/],
  [
    "a delegate that may do no more than its principal",
    /STOPPED +delete_customer[\s\S]*support-agent may not use delete_customer/
  ],
  [
    "a delegate that draws from its principal's budget",
    /STOPPED +refund_order +A-1006, \$64\.00\s+It takes \$64\.00, but support-agent, who pays/
  ],
  ["what it cost altogether", /25 calls ran, 7 did not\. Cost: \$63\.\d\d, \$0\.\d+ of it for \d+ model tokens/],
  [
    "a halt that reaches a running call",
    /HALTED +ask_courier[\s\S]*Stopped by ada: refunds look wrong\s+\d+ ms after the halt/
  ],
  [
    "that nothing runs after it",
    /STOPPED +track_parcel +P-1007, tried by support-agent\s+STOPPED +track_parcel +P-1007, tried by its helper/
  ],
  ["that the log verifies", /ok +\d+ rows in 8 chains: every row is as it was written/],
  [
    "that the database refuses the edit first",
    /permission denied for table governance_audit_events[\s\S]*is append-only: UPDATE/
  ],
  [
    "which row was edited, twice the same",
    /shall look like \$3\.00: (row \d+ of session:order-1003)\.[\s\S]*TAMPERED +\1\s+session:order-1003, row \d+:/
  ],
  [
    "what to try next",
    /What to try next[\s\S]*replay examples\/sessions\.jsonl --policy examples\/policy\.json[\s\S]*verify/
  ],
  [
    "how to go on with people and proof",
    /What to try next[\s\S]* approvals\n[\s\S]* export -o evidence\.zip\n[\s\S]* checkpoint/
  ]
] as const

describe("governance demo", () => {
  it.live(
    "says everything that it promises in plain text, ends with 0, and leaves no process and no file behind",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporary
        const { code, error, out } = yield* demo(directory, ["--fast"])
        assert.deepStrictEqual([code, error], [0, ""])
        for (const [what, pattern] of promised) assert.match(out, pattern, what)
        assert.notInclude(out, "\u001b", "colours without a terminal")
        assert.notMatch(out, /postgresql:\/\//)
        assert.deepStrictEqual(
          out.split("\n").filter((line) => line.length > 80 && !line.includes("npm run governance")),
          []
        )
        yield* nothingRemains(directory)
      }),
    60_000
  )

  it.live(
    "stops its database when it is interrupted, and does not end with 0 (L-06)",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporary
        const { code } = yield* demo(directory, ["--fast"], "1  A customer wants a refund")
        assert.strictEqual(code, 130)
        yield* nothingRemains(directory)
      }),
    60_000
  )

  it.live("refuses flags that would mean another database", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const { code, error } = yield* demo(directory, ["--data-dir", "here"])
      assert.strictEqual(code, 2)
      assert.include(error, "database of its own")
      assert.deepStrictEqual(readdirSync(directory), [])
    })
  )

  it("ships its sessions as an example, word for word", () => {
    const lines = readFileSync(join(root, "examples/sessions.jsonl"), "utf8")
    assert.strictEqual(lines, scenes.map(({ session }) => `${JSON.stringify(session)}\n`).join(""))
  })
})
