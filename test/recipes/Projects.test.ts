import { existsSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { recipes } from "../../src/cli/recipe/Recipes.ts"
import { FakeProvider } from "../../src/testing/FakeProvider.ts"
import { root } from "../house/Tree.ts"
import { type Packed, prepare, type Started } from "./Packed.ts"

// The directory is there before anything can fail, so that it is always taken away again.
const packed: Packed = prepare()

const make = (name: string): string => {
  const project = join(packed.work, `my-${name}`)
  if (!existsSync(project)) {
    packed.governance("recipe", name, `my-${name}`)
    packed.install(project)
  }
  return project
}

/** The command of the installed package, in a project's directory. */
const governance = async (project: string, ...args: ReadonlyArray<string>) => {
  const ran = packed.start(project, {}, process.execPath, "node_modules/effect-governance/dist/cli/main.js", ...args)
  assert.strictEqual(await ran.ended, 0, ran.said())
  return ran.said()
}

const until = async <A>(look: () => A | Promise<A>, program: Started): Promise<NonNullable<A>> => {
  for (;;) {
    const found = await look()
    if (found) return found
    const ended = await Promise.race([program.ended.then(() => true), sleep(200)])
    if (ended === true) throw new Error(`It ended: ${program.said()}`)
  }
}
beforeAll(() => packed.pack(), 300_000)
afterAll(() => packed.remove())

describe("a generated project, with the packed package and nothing else but what its package.json names", () => {
  it("agt waits under `npm start` until somebody grants it from another terminal, and the record verifies (RCP-02, BEY-02)", async () => {
    const project = make("agt")
    await using model = await FakeProvider.start()
    const amount = "1000.00"
    model.next({ toolCalls: [{ name: "refund", arguments: { order: "A-17", amount } }] }, { text: "You have it back." })
    const env = { OPENAI_API_KEY: "none", OPENAI_BASE_URL: model.openAiUrl }
    const agent = packed.start(project, env, "npm", "start", "--silent")
    try {
      await until(() => agent.said().includes("The refund of 1000.00 waits for a person"), agent)
      const token = await until(async () => /v2:\S+/.exec(await governance(project, "approvals"))?.[0], agent)
      assert.lengthOf(model.requests, 1)
      await governance(project, "grant", token, "--by", "rita@example.com")
      assert.strictEqual(await agent.ended, 0, agent.said())
      assert.include(agent.said(), "You have it back.")
      assert.include(model.requests[1]?.text, "Refunded 1000.00 for order A-17.")
      await governance(project, "verify")
    } finally {
      agent.stop()
    }
  }, 300_000)

  it("agt-mcp serves any client on standard input and output: the same call finds its approval and pays once (RCP-02, BEY-02)", async () => {
    const project = make("agt-mcp")
    const client = new Client({ name: "test", version: "1.0.0" })
    await client.connect(
      new StdioClientTransport({ command: process.execPath, args: ["agent.ts"], cwd: project, stderr: "ignore" })
    )
    const ask = async (amount: string) =>
      JSON.stringify(await client.callTool({ name: "refund", arguments: { order: "A-17", amount } }))
    try {
      assert.deepStrictEqual(
        (await client.listTools()).tools.map(({ name }) => name),
        ["refund"]
      )
      assert.include(await ask("999.99"), "Refunded 999.99")
      assert.include(await ask("1e3"), "must be dollars and cents")
      assert.include(await ask("1000.00"), "A person has to agree first")
      const token = /v2:\S+/.exec(await governance(project, "approvals"))?.[0] ?? ""
      await governance(project, "grant", token, "--by", "rita@example.com")
      assert.include(await ask("1000.00"), "Refunded 1000.00")
      assert.include(await ask("1000.00"), "A person has to agree first")
      assert.include(await ask("4999.00"), "Refused")
      await governance(project, "halt", "refund-agent", "--reason", "test", "--by", "rita@example.com")
      assert.include(await ask("1.00"), "halted")
      await governance(project, "verify")
    } finally {
      await client.close()
    }
  }, 300_000)

  for (const { name } of recipes) {
    it(`${name} type-checks, pays 999.99 at once, and 1000.00 once, after a person agreed (RCP-02, RCP-03, V8-03, L-11)`, () => {
      const project = make(name)
      packed.run(project, join(root, "node_modules/.bin/tsc"), "--noEmit")
      const said = packed.run(project, "npm", "test", "--silent")
      assert.match(said, /^ok: 999\.99 is paid at once; 1000\.00 waits for a person, and one approval pays once$/m)
    }, 120_000)
  }
})
