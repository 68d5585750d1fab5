import { existsSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { recipes } from "../../src/cli/recipe/Recipes.ts"
import { FakeProvider } from "../../src/testing/FakeProvider.ts"
import { root } from "../house/Tree.ts"
import { type Packed, pack, type Started } from "./Packed.ts"

let packed: Packed

const make = (name: string): string => {
  const project = join(packed.work, `my-${name}`)
  if (!existsSync(project)) {
    packed.governance("recipe", name, `my-${name}`)
    packed.install(project)
  }
  return project
}

const until = async <A>(look: () => A | Promise<A>, program: Started): Promise<NonNullable<A>> => {
  for (;;) {
    const found = await look()
    if (found) return found
    const ended = await Promise.race([program.ended.then(() => true), sleep(200)])
    if (ended === true) throw new Error(`It ended: ${program.said()}`)
  }
}
beforeAll(() => {
  packed = pack()
}, 300_000)
afterAll(() => packed.remove())

describe("a generated project, with the packed package and nothing else but what its package.json names", () => {
  it("agt waits under `npm start` until somebody grants it from another terminal, and the record verifies (RCP-02, BEY-02)", async () => {
    const project = make("agt")
    await using model = await FakeProvider.start()
    const amount = "1000.00"
    model.next({ toolCalls: [{ name: "refund", arguments: { order: "A-17", amount } }] }, { text: "You have it back." })
    const env = { OPENAI_API_KEY: "none", OPENAI_BASE_URL: model.openAiUrl }
    const agent = packed.start(project, env, "npm", "start", "--silent")
    const governance = async (...args: ReadonlyArray<string>) => {
      const ran = packed.start(
        project,
        {},
        process.execPath,
        "node_modules/effect-governance/dist/cli/main.js",
        ...args
      )
      assert.strictEqual(await ran.ended, 0, ran.said())
      return ran.said()
    }
    try {
      await until(() => agent.said().includes("The refund of 1000.00 waits for a person"), agent)
      const token = await until(async () => /v2:\S+/.exec(await governance("approvals"))?.[0], agent)
      assert.lengthOf(model.requests, 1)
      await governance("grant", token, "--by", "rita@example.com")
      assert.strictEqual(await agent.ended, 0, agent.said())
      assert.include(agent.said(), "You have it back.")
      assert.include(model.requests[1]?.text, "Refunded 1000.00 for order A-17.")
      await governance("verify")
    } finally {
      agent.stop()
    }
  }, 300_000)

  for (const { name } of recipes) {
    it(`${name} type-checks, pays 999.99 at once, and 1000.00 once, after a person agreed (RCP-02, RCP-03, V8-03, L-11)`, () => {
      packed.governance("recipe", name, `my-${name}`)
      const project = join(packed.work, `my-${name}`)
      packed.install(project)
      packed.run(project, join(root, "node_modules/.bin/tsc"), "--noEmit")
      const said = packed.run(project, "npm", "test", "--silent")
      assert.match(said, /^ok: 999\.99 is paid at once; 1000\.00 waits for a person, and one approval pays once$/m)
    }, 120_000)
  }
})
