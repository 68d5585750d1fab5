import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import * as Embedded from "../../src/layers/Embedded.ts"
import { root } from "../house/Tree.ts"

/** One embedded database for the file: the commands join it, as a second terminal does, instead of each starting its own. */
class DataDir extends Context.Service<DataDir, { readonly path: string }>()("test/cli/DataDir") {}
const dataDir = Layer.effect(
  DataDir,
  Effect.gen(function* () {
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "governance-cli-test-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const path = join(home, "data")
    yield* Layer.build(Embedded.layer({ dataDir: path, durable: false }))
    return DataDir.of({ path })
  })
)

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const { GOVERNANCE_DATABASE_URL: _url, GOVERNANCE_AUDIT_SECRET: _secret, ...inherited } = process.env

/** Starts the program itself. `stopWhen` sends SIGINT once standard output or error contains it. */
const governance = (
  args: ReadonlyArray<string>,
  options: { readonly stopWhen?: string; readonly shell?: string } = {}
) =>
  Effect.callback<Ended>((resume) => {
    const main = join(root, "src/cli/main.ts")
    const child =
      options.shell === undefined
        ? spawn(process.execPath, [main, ...args], { env: inherited, stdio: ["ignore", "pipe", "pipe"] })
        : spawn("sh", ["-c", options.shell, "sh", process.execPath, main, ...args], {
            env: inherited,
            stdio: ["ignore", "pipe", "pipe"]
          })
    let [out, err] = ["", ""]
    let stopped = false
    const look = () => {
      if (stopped || options.stopWhen === undefined || !(out + err).includes(options.stopWhen)) return
      stopped = true
      child.kill("SIGINT")
    }
    child.stdout.on("data", (part) => {
      out += part
      look()
    })
    child.stderr.on("data", (part) => {
      err += part
      look()
    })
    child.on("close", (code) => resume(Effect.succeed({ code, out, err })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const inData = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(DataDir, ({ path }) => governance([...args, "--data-dir", path]))

describe("the governance program", () => {
  layer(dataDir, { excludeTestServices: true })("with the embedded database", (it) => {
    it.effect(
      "uses it without a database URL, says so on standard error alone, and keeps its secret beside the data (DEC-18)",
      () =>
        Effect.gen(function* () {
          const { path } = yield* DataDir
          const ran = yield* inData("emit", "step", "--agent", "clerk", "--json")
          assert.strictEqual(ran.code, 0, ran.err)
          assert.deepInclude(JSON.parse(ran.out), { status: "stored", chain: "agent:clerk", seq: 1 })
          assert.include(ran.err, `Using the embedded database in ${path}`)
          const secret = readFileSync(join(path, "audit-secret"), "utf8").trim()
          assert.match(secret, /^[0-9a-f]{64}$/)
          assert.strictEqual(statSync(join(path, "audit-secret")).mode & 0o777, 0o600)
          assert.notInclude(ran.out + ran.err, secret)
          const verified = yield* inData("verify", "--json")
          assert.strictEqual(verified.code, 0, verified.err)
          assert.deepInclude(JSON.parse(verified.out), { verdict: "ok", rows: 1 })
        })
    )

    it.effect("Ctrl-C ends tail with 130, after it has printed what happened meanwhile (L-06, CLI-03)", () =>
      Effect.gen(function* () {
        const { path } = yield* DataDir
        const following = yield* Effect.forkChild(
          governance(["tail", "--json", "--data-dir", path], { stopWhen: "tail.seen" }),
          {
            startImmediately: true
          }
        )
        const writing = yield* Effect.forkChild(
          Effect.forever(Effect.andThen(inData("emit", "tail.seen", "--agent", "clerk"), Effect.sleep("500 millis")))
        )
        const ran = yield* Fiber.join(following)
        yield* Fiber.interrupt(writing)
        assert.strictEqual(ran.code, 130, ran.err)
        assert.deepInclude(JSON.parse(ran.out.trim().split("\n")[0]!), { kind: "tail.seen" })
      })
    )

    it.effect("a reader that goes away ends it without a stack", () =>
      Effect.gen(function* () {
        const ran = yield* Effect.flatMap(DataDir, ({ path }) =>
          governance(["migrate", "--dry-run", "--schema", "elsewhere", "--data-dir", path], { shell: '"$@" | head -1' })
        )
        assert.match(ran.out, /^-- 0001_audit\n$/)
        assert.notInclude(ran.err, "    at ")
      })
    )

    it.effect("a usage error is 2, a refusal 1, and both leave standard output empty (L-06)", () =>
      Effect.gen(function* () {
        const [usage, refused] = yield* Effect.all(
          [governance(["verify", "--bogus"]), inData("policy", "release", "clerk", "scope", "--by", "a")],
          {
            concurrency: 2
          }
        )
        assert.deepStrictEqual([usage.code, usage.out], [2, ""])
        assert.deepStrictEqual([refused.code, refused.out], [1, ""])
      })
    )

    it.effect("a directory that is somebody else's is refused and left alone: 2", () =>
      Effect.gen(function* () {
        const ran = yield* governance(["agents", "--data-dir", join(root, "src")])
        assert.strictEqual(ran.code, 2, ran.err)
        assert.isFalse(existsSync(join(root, "src", "audit-secret")))
        assert.notMatch(ran.err, /^\s+at /m)
      })
    )
  })
})
