import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Result } from "effect"
import * as Embedded from "../../src/layers/Embedded.ts"
import { root } from "../house/Tree.ts"
import { eventOf } from "./Events.ts"

class DataDir extends Context.Service<DataDir, { readonly path: string }>()("test/platform/DataDir") {}
const dataDir = Layer.effect(
  DataDir,
  Effect.gen(function* () {
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "governance-platform-test-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const path = join(home, "data")
    yield* Layer.build(Embedded.layer({ dataDir: path, durable: false }))
    return DataDir.of({ path })
  })
)

const { GOVERNANCE_DATABASE_URL: _url, GOVERNANCE_AUDIT_SECRET: _secret, ...inherited } = process.env
const start = (args: ReadonlyArray<string>): ChildProcess =>
  spawn(process.execPath, [join(root, "src/cli/main.ts"), "platform", ...args], {
    env: inherited,
    stdio: ["ignore", "pipe", "pipe"]
  })

/** Runs a command to its end. */
const platform = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(DataDir, ({ path }) =>
    Effect.callback<{ readonly code: number | null; readonly out: string; readonly err: string }>((resume) => {
      const child = start([...args, "--data-dir", path])
      let [out, err] = ["", ""]
      child.stdout?.on("data", (part) => (out += part))
      child.stderr?.on("data", (part) => (err += part))
      child.on("close", (code) => resume(Effect.succeed({ code, out, err })))
      return Effect.sync(() => child.kill("SIGKILL"))
    })
  )

/** Serves until the scope closes; gives what it says when it is ready. */
const served = (port: number) =>
  Effect.flatMap(DataDir, ({ path }) =>
    Effect.acquireRelease(
      Effect.callback<ChildProcess>((resume) => {
        const child = start(["serve", "--port", `${port}`, "--data-dir", path])
        let err = ""
        child.stderr?.on("data", (part) => {
          err += part
          if (err.includes("The platform serves at")) resume(Effect.succeed(child))
        })
        child.on("close", () => resume(Effect.die(new Error(err))))
      }),
      (child) => Effect.sync(() => child.kill("SIGINT"))
    )
  )

layer(dataDir, { excludeTestServices: true, timeout: "120 seconds" })("governance platform", (it) => {
  it.effect(
    "goes from nothing to a served timeline by the commands of the guide (DEC-13, PLT-02, PLT-05)",
    () =>
      Effect.gen(function* () {
        const made = yield* platform("workflow", "create", "production", "--json")
        assert.strictEqual(made.code, 0, made.err)
        const { token, tokenId, workflow } = JSON.parse(made.out)
        assert.match(token, /^wf_/)
        const again = yield* platform("workflow", "create", "production")
        assert.deepStrictEqual([again.code, again.out], [1, ""])

        const port = 20_000 + (process.pid % 20_000)
        yield* served(port)
        const url = `http://127.0.0.1:${port}`
        const post = (path: string, body: unknown, headers: Record<string, string>) =>
          Effect.promise(() =>
            fetch(`${url}${path}`, {
              method: "POST",
              headers: { "content-type": "application/json", ...headers },
              body: JSON.stringify(body)
            })
          )
        const bearer = { authorization: `Bearer ${token}` }
        assert.strictEqual((yield* post("/api/v1/ingest/events", eventOf(1), bearer)).status, 200)

        const invited = yield* platform("user", "invite", "Ann@Example.com", "--role", "approver", "--json")
        const { email, link } = JSON.parse(invited.out)
        assert.strictEqual(email, "ann@example.com")
        const signedIn = yield* post("/api/v1/sign-in/sessions", { token: link.split("#")[1] }, {})
        const cookie = String(signedIn.headers.get("set-cookie")).split(";")[0] ?? ""
        const timeline = yield* Effect.promise(() =>
          fetch(`${url}/api/v1/workspaces/default/workflows/${workflow}/timeline`, { headers: { cookie } })
        )
        assert.lengthOf((yield* Effect.promise(() => timeline.json())) as ReadonlyArray<unknown>, 1)

        const revoked = yield* platform("token", "revoke", tokenId)
        assert.strictEqual(revoked.code, 0, revoked.err)
        assert.strictEqual((yield* post("/api/v1/ingest/events", eventOf(2), bearer)).status, 401)
        assert.strictEqual((yield* platform("token", "revoke", tokenId)).code, 1)
      }).pipe(Effect.scoped),
    120_000
  )

  it.effect(
    "answers from the moment that it listens: come again, until its one database is open (P-06)",
    () =>
      Effect.gen(function* () {
        const { path } = yield* DataDir
        const port = 20_001 + (process.pid % 20_000)
        const child = yield* Effect.acquireRelease(
          Effect.sync(() => start(["serve", "--port", `${port}`, "--data-dir", path])),
          (process) => Effect.sync(() => process.kill("SIGINT"))
        )
        let err = ""
        child.stderr?.on("data", (part) => (err += part))
        const health = Effect.tryPromise(() =>
          fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(30_000) })
        )
        const early: Array<string | null> = []
        for (;;) {
          const asked = yield* Effect.result(health)
          if (Result.isFailure(asked)) {
            assert.isNull(child.exitCode, err)
            assert.notInclude(String(asked.failure.cause), "TimeoutError")
            yield* Effect.sleep(5)
            continue
          }
          if (asked.success.status === 200) break
          assert.strictEqual(asked.success.status, 503)
          early.push(asked.success.headers.get("retry-after"))
          yield* Effect.sleep(5)
        }
        assert.isAbove(early.length, 0)
        assert.deepStrictEqual([...new Set(early)], ["1"])
        assert.lengthOf(err.match(/Using the embedded database/g) ?? [], 1)
      }).pipe(Effect.scoped),
    120_000
  )

  it.effect(
    "refuses what it cannot use, with one line and exit code 2, and brings its tables alone (L-06, DEC-16)",
    () =>
      Effect.gen(function* () {
        for (const args of [
          ["workflow", "create", "x", "--workspace", "Not An Id"],
          ["user", "invite", "nobody"],
          ["serve", "--public-url", "https://a.example/path"]
        ]) {
          const ran = yield* platform(...args)
          assert.strictEqual(ran.code, 2, `${args.join(" ")}: ${ran.err}`)
          assert.strictEqual(ran.out, "")
        }
        const migrated = yield* platform("migrate", "--json")
        assert.deepStrictEqual(JSON.parse(migrated.out), { schema: "governance_platform", applied: [] })
      }),
    120_000
  )
})
