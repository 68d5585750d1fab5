import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import * as CountingProxy from "../../bench/CountingProxy.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import type { BudgetPolicyInput } from "../../src/schema/Cost.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { clientOf as anthropicOf } from "./anthropic/Client.ts"
import { openWorld } from "./ClientWorld.ts"
import { tagOf } from "./MethodCases.ts"
import { clientOf as openAiOf } from "./openai/Client.ts"

const auditSecret = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"
const messages = [{ role: "user" as const, content: "How is it?" }]
/** Longer than any reservation of input, so that the output decides how many fit. */
const most = 1000

type World = Awaited<ReturnType<typeof openWorld>>
const clients = {
  openai: {
    budget: { perSessionTokens: 4400 },
    create: (world: World) => {
      const client = openAiOf(world)
      return () => client.chat.completions.create({ model: "gpt-4o-mini", messages, max_completion_tokens: most })
    }
  },
  anthropic: {
    budget: { perSessionTokens: 4400 },
    create: (world: World) => {
      const client = anthropicOf(world)
      return () => client.messages.create({ model: "claude-haiku-4-5", messages, max_tokens: most })
    }
  }
}

/** A world on a database of its own, and what closes both. */
const onPostgres = async (budget: BudgetPolicyInput, delayMs?: number) => {
  const scope = await Effect.runPromise(Scope.make())
  const inScope = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Scope.provide(effect, scope))
  const { appUrl } = Context.get(await inScope(Layer.buildWithScope(freshDatabase, scope)), TestDatabase)
  const proxy = delayMs === undefined ? undefined : await inScope(CountingProxy.make(appUrl, delayMs))
  const databaseUrl = proxy?.url ?? appUrl
  const layer = Postgres.layer({ databaseUrl, auditSecret, testMode: true, warnOnNoWrappers: false })
  const world = await openWorld({ budget, layer })
  return {
    world,
    proxy,
    [Symbol.asyncDispose]: async () => {
      await world[Symbol.asyncDispose]()
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}

const twentyAtOnce = async (world: World, create: () => Promise<unknown>) => {
  world.provider.always({ delayFirstMs: 300, usage: { input: 10, output: 7 } })
  const ends = await Promise.allSettled(Array.from({ length: 20 }, create))
  assert.strictEqual(ends.filter(({ status }) => status === "fulfilled").length, 4)
  for (const end of ends) if (end.status === "rejected") assert.strictEqual(tagOf(end.reason), "BudgetExceeded")
  assert.strictEqual(world.provider.requests.length, 4)
  assert.strictEqual((await world.money()).held, 0)
}

describe.each(["openai", "anthropic"] as const)(
  "Twenty calls at once of the %s client on a budget for four",
  (name) => {
    const { budget, create } = clients[name]

    it("make four requests, on memory (BEY-01, CST-03)", async () => {
      await using world = await openWorld({ budget })
      await twentyAtOnce(world, create(world))
    })

    it("make four requests, on Postgres (BEY-01, CST-03)", async () => {
      await using place = await onPostgres(budget)
      await twentyAtOnce(place.world, create(place.world))
    })
  }
)

describe.each(["openai", "anthropic"] as const)("A governed call of the %s client on Postgres", (name) => {
  it("makes two round trips to the database (PRF-01)", async () => {
    await using place = await onPostgres({ perSessionUsd: 10 }, 20)
    const create = clients[name].create(place.world)
    for (let n = 0; n < 4; n++) await create()
    const counted: Array<number> = []
    for (let n = 0; n < 5; n++) {
      place.proxy?.take()
      await create()
      counted.push(CountingProxy.sequential((place.proxy?.take() ?? []).filter(({ by }) => !by.includes("listen"))))
    }
    assert.strictEqual([...counted].sort()[2], 2, String(counted))
  })
})
