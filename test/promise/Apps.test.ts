import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, assert, beforeAll, describe, it, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Governance } from "../../src/promise/Governance.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { install, type Program, root, start, stop } from "./Package.ts"

const auditSecret = "Zx8!pQ2#vL9$wR4%tY7&uB1*nM5(kJ3)"

let project = ""
let remove = () => {}

const post = async (url: string, body: unknown, signal?: AbortSignal) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal })
  })
  return { status: response.status, body: await response.json() }
}

/** Without the warning about checkpoints, which is due. */
const said = ({ lines }: Program) => lines.filter((line) => !line.includes("GOVERNANCE_CHECKPOINT_KEY"))
const kinds = async (governance: Governance, sessionId: string) => {
  const rows = await governance.audit.getEvents({ sessionId, limit: 10_000 })
  const counts: Record<string, number> = {}
  for (const { kind } of rows) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

const until = async <A>(look: () => Promise<A | undefined>): Promise<A> => {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe("the compiled package in plain JavaScript", { timeout: 60_000 }, () => {
  beforeAll(async () => {
    ;({ project, remove } = await install())
  }, 120_000)
  afterAll(() => remove())

  it("works in a script that forgets to close: it ends by itself (SYN-01, DEC-14)", async () => {
    const script = start(project, join(project, "examples/plain-script.mjs"))
    assert.strictEqual(await script.ended, 0)
    assert.deepStrictEqual(script.lines, [
      "refunded 80",
      "Agent clerk needs $30.00; its daily budget has $20.00 of $100.00 left",
      'true Add "delete_everything" to the scope policy of clerk, or do not offer it to the agent (Scope filterTools).',
      "true"
    ])
  })

  it("works in Express: a refusal is a status, a person decides in another request, a halt stops a running one (SYN-02, DEC-14, GAT-03, BEY-05)", async () => {
    const app = start(project, join(project, "examples/express/server.mjs"))
    const [url] = await app.line(/http:\/\/.*/)
    try {
      assert.deepStrictEqual(await post(`${url}/refunds`, { order: "A1", usd: 20 }), {
        status: 200,
        body: { order: "A1", refunded: 20 }
      })
      const refused = await post(`${url}/refunds`, { order: "A2", usd: 600 })
      assert.strictEqual(refused.status, 402)
      assert.strictEqual(refused.body.error, "BudgetExceeded")
      assert.isString(refused.body.hint)

      const waiting = post(`${url}/refunds`, { order: "A3", usd: 150 })
      const card = await until(async () => {
        const cards = await (await fetch(`${url}/approvals`)).json()
        return cards.length > 0 ? cards[0] : undefined
      })
      assert.deepStrictEqual(card.input, { order: "A3", usd: 150 })
      const own = await post(`${url}/approvals`, { token: card.token, by: "olga@example.org", decision: "grant" })
      assert.strictEqual(own.body.error, "ApprovalTokenError")
      const granted = await post(`${url}/approvals`, { token: card.token, by: "rita@example.org", decision: "grant" })
      assert.strictEqual(granted.body.state, "granted")
      assert.deepStrictEqual((await waiting).body, { order: "A3", refunded: 150 })
      assert.deepStrictEqual(await (await fetch(`${url}/spent`)).json(), { dollars: 170 })

      // A client that goes away while a person is asked.
      const left = new AbortController()
      const gone = post(`${url}/refunds`, { order: "A4", usd: 120 }, left.signal).catch((error) => error.name)
      await until(async () => ((await (await fetch(`${url}/approvals`)).json()).length > 0 ? true : undefined))
      left.abort()
      assert.strictEqual(await gone, "AbortError")

      const running = Array.from({ length: 5 }, (_, n) => post(`${url}/refunds`, { order: `B${n}`, usd: 1 }))
      await new Promise((resolve) => setTimeout(resolve, 25))
      const halt = await post(`${url}/halt`, { by: "olga@example.org", reason: "wrong account" })
      assert.strictEqual(halt.body.haltedBy, "olga@example.org")
      for (const { body, status } of await Promise.all(running)) {
        assert.deepStrictEqual([status, body.error], [409, "AgentHaltedError"])
      }
      assert.strictEqual(await stop(app, "SIGTERM"), 0)
      assert.include(app.lines, "closed")
    } finally {
      await stop(app)
    }
  })

  it("works in a Next.js route handler that is loaded again, with one runtime (SYN-02)", async () => {
    const route = pathToFileURL(join(project, "examples/next/app/api/refund/route.js")).href
    const first = await import(/* @vite-ignore */ route)
    // What a hot reload does: the module anew, in the same process.
    const second = await import(/* @vite-ignore */ `${route}?again`)
    assert.notStrictEqual(first, second)
    let turn = 0
    const server = createServer(async (request, response) => {
      const chunks: Array<Uint8Array> = []
      for await (const chunk of request) chunks.push(chunk)
      const { POST } = turn++ % 2 === 0 ? first : second
      const answer: Response = await POST(
        new Request(`http://127.0.0.1${request.url}`, { method: "POST", body: Buffer.concat(chunks) })
      )
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text())
    }).listen(0, "127.0.0.1")
    await new Promise((resolve) => server.once("listening", resolve))
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/refund`
      const answers = [80, 15, 5, 1].map((usd) => () => post(url, { order: "A1", usd }))
      const statuses: Array<number> = []
      for (const ask of answers) statuses.push((await ask()).status)
      assert.deepStrictEqual(statuses, [200, 200, 200, 402])
    } finally {
      server.close()
      const { governance } = await import(
        /* @vite-ignore */ pathToFileURL(join(project, "examples/next/lib/governance.js")).href
      )
      await (await governance()).close()
    }
  })

  it("has types that a strict program without Effect compiles with: the guide's own (SYN-02)", () => {
    const blocks = [...readFileSync(join(root, "docs/promise.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)]
    assert.isAbove(blocks.length, 4)
    blocks.forEach(([, text = ""], n) => {
      writeFileSync(join(project, `guide${n}.ts`), text)
    })
    // What must not compile: a method that is not there, a time that is none, money of the wrong kind.
    writeFileSync(
      join(project, "wrong.ts"),
      `import { Governance } from "effect-governance/promise"
       const governance = await Governance.memory()
       // @ts-expect-error
       governance.cost.hold({})
       // @ts-expect-error
       await Governance.memory({ haltCacheTtl: "soon" })
       // @ts-expect-error
       const spent: number = (await governance.cost.snapshot("a", null)).state.dailyUsd
       const text: string = await governance.governed({ agentId: "a", tool: "t" }, async () => "typed")
       export { spent, text }\n`
    )
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          ...{ target: "es2024", lib: ["es2024", "esnext.disposable", "dom"], module: "nodenext", types: ["node"] },
          ...{ strict: true, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true }
        },
        include: ["*.ts"]
      })
    )
    const { status, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", project], { encoding: "utf8" })
    assert.strictEqual(status, 0, stdout)
  })

  it("has no effect when it is imported (SYN-02)", async () => {
    const script = start(
      project,
      `import "effect-governance/promise"
       console.log(process.listenerCount("beforeExit"), process.getActiveResourcesInfo().filter((name) => /Timeout|TCP/.test(name)).length)\n`
    )
    assert.strictEqual(await script.ended, 0)
    assert.deepStrictEqual(script.lines, ["0 0"])
  })

  it("keeps a script alive while it waits for an answer, and only then (SYN-01)", async () => {
    const script = start(
      project,
      `import { Governance } from "effect-governance/promise"
       const governance = await Governance.memory({ warnOnNoWrappers: false })
       const asked = await governance.gates.request("refund", "clerk", { usd: 1 })
       try { await governance.gates.waitFor(asked.requestId, { timeout: "300 millis" }) } catch (error) { console.log(error._tag) }
       try { for await (const _ of governance.audit.tail({ signal: AbortSignal.timeout(200) })) {} } catch (error) { console.log(error.name) }
       console.log("end")\n`
    )
    assert.strictEqual(await script.ended, 0)
    assert.deepStrictEqual(script.lines, ["ApprovalTimeout", "TimeoutError", "end"])
  })

  const program = (rest: string) => `import { Governance } from "effect-governance/promise"
    const governance = await Governance.start({ warnOnNoWrappers: false })
    await governance.scope.register({ agentId: "clerk", allowedTools: ["refund"] })
    const call = { agentId: "clerk", sessionId: process.env.SESSION, tool: "refund" }
    ${rest}\n`

  layer(freshDatabase)((it) => {
    const run = (session: string, text: string) =>
      Effect.map(TestDatabase, ({ appUrl }) => {
        const databaseUrl = Redacted.value(appUrl)
        const env = { GOVERNANCE_DATABASE_URL: databaseUrl, GOVERNANCE_AUDIT_SECRET: auditSecret, SESSION: session }
        return { databaseUrl, script: start(project, program(text), env) }
      })

    it.effect("lets a script end that forgets to close, and writes what was on its way (SYN-01, ENT-12)", () =>
      Effect.gen(function* () {
        const began = Date.now()
        const { databaseUrl, script } = yield* run(
          "forgets",
          `await Promise.all(Array.from({ length: 50 }, () => governance.governed(call, () => "ok")))
           governance.audit.note({ kind: "last.words", agentId: "clerk", sessionId: process.env.SESSION })
           console.log("end of the script")`
        )
        yield* Effect.promise(async () => {
          assert.strictEqual(await script.ended, 0, script.lines.join("\n"))
          assert.deepStrictEqual(said(script), ["end of the script"])
          assert.isBelow(Date.now() - began, 15_000)
          await using governance = await Governance.start({ databaseUrl, auditSecret, log: () => {} })
          assert.deepStrictEqual(await kinds(governance, "forgets"), {
            "tool.call": 50,
            "tool.result": 50,
            "last.words": 1
          })
        })
      })
    )

    it.effect("finishes what runs when SIGTERM closes it (ENT-12)", () =>
      Effect.gen(function* () {
        const { databaseUrl, script } = yield* run(
          "term",
          `process.once("SIGTERM", () => governance.close())
           let done = 0
           const calls = Array.from({ length: 20 }, () => governance.governed(call, async () => {
             await new Promise((resolve) => setTimeout(resolve, 300)); done++
           }))
           setTimeout(() => console.log("running"), 50)
           await Promise.all(calls)
           console.log("done " + done)`
        )
        yield* Effect.promise(async () => {
          await script.line(/running/)
          script.process.kill("SIGTERM")
          assert.strictEqual(await script.ended, 0, script.lines.join("\n"))
          assert.deepStrictEqual(said(script), ["running", "done 20"])
          await using governance = await Governance.start({ databaseUrl, auditSecret, log: () => {} })
          assert.deepStrictEqual(await kinds(governance, "term"), { "tool.call": 20, "tool.result": 20 })
        })
      })
    )
  })
})
