import { assert, describe, it } from "@effect/vitest"
import { Coverage } from "../../src/services/Coverage.ts"
import { Routing } from "../../src/services/Routing.ts"
import { clientOf as anthropicOf } from "./anthropic/Client.ts"
import { agentId, type ClientWorld, openWorld } from "./ClientWorld.ts"
import { clientOf as openAiOf } from "./openai/Client.ts"

const usage = { input: 10, output: 7 }
const messages = [{ role: "user" as const, content: "How is it?" }]

const clients = {
  openai: {
    asked: "gpt-4o",
    routed: "gpt-4o-mini",
    price: { input: 150, output: 600 },
    create: (world: ClientWorld, model: string) =>
      openAiOf(world).chat.completions.create({ model, messages, max_completion_tokens: 50 }),
    free: (world: ClientWorld) =>
      openAiOf(world)
        .moderations.create({ input: "x" })
        .catch(() => {})
  },
  anthropic: {
    asked: "claude-opus-4-5",
    routed: "claude-haiku-4-5",
    price: { input: 1000, output: 5000 },
    create: (world: ClientWorld, model: string) =>
      anthropicOf(world).messages.create({ model, messages, max_tokens: 50 }),
    free: (world: ClientWorld) => anthropicOf(world).messages.countTokens({ model: "claude-haiku-4-5", messages })
  }
}

describe.each(["openai", "anthropic"] as const)("A governed client of %s", (name) => {
  const { asked, create, free, price, routed } = clients[name]
  const covered = (world: ClientWorld) => world.run(Coverage.use((coverage) => coverage.report))

  it("asks the model that routing chose, in every attempt, and pays for that (ROU-01, ROU-02)", async () => {
    await using world = await openWorld({ measured: true })
    await world.run(Routing.use((routing) => routing.register({ agentId, mode: "rules", rules: { [asked]: routed } })))
    world.provider.next({ status: 503, retryAfter: 0.01 }, { usage })
    await create(world, asked)
    assert.deepStrictEqual(
      world.provider.requests.map(({ body }) => body.model),
      [routed, routed]
    )
    assert.strictEqual(await world.spent(), usage.input * price.input + usage.output * price.output)
  })

  it("counts as covered, retries and what is free included (COV-01, BEY-13)", async () => {
    await using world = await openWorld({ measured: true })
    world.provider.next({ status: 503, retryAfter: 0.01 }, { usage })
    await create(world, routed)
    assert.strictEqual((await covered(world)).coveragePct, 1)
    await free(world)
    assert.strictEqual((await covered(world)).coveragePct, 1)
    await fetch(`${world.provider.url}/v1/messages`, { method: "POST", body: "{}" })
    assert.isBelow((await covered(world)).coveragePct ?? 1, 1)
  })
})
