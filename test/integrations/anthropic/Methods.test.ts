import { assert, describe, it } from "@effect/vitest"
import { openWorld, rejection } from "../ClientWorld.ts"
import { methodCases, tagOf } from "../MethodCases.ts"
import { ownMethodsOf } from "../SdkMethods.ts"
import { clientOf, messages, model } from "./Client.ts"
import { anthropicClient, anthropicMethods } from "./Methods.ts"

const file = new File(["x"], "x.txt")

methodCases({
  name: "Anthropic's client",
  table: anthropicMethods,
  bodies: [{ model, messages, max_tokens: 5, tools: [], file, files: [file], session_id: "a1", version_id: "a1" }],
  open: (world) => clientOf(world, {}, { maxRetries: 0, logLevel: "off" })
})

describe("Anthropic's client itself", () => {
  it("has no way to the network that nobody has looked at (WRP-01)", async () => {
    await using world = await openWorld()
    const known = `${anthropicClient.network} ${anthropicClient.local}`.split(" ")
    const accessors = ["credentials", "openTelemetry"]
    assert.deepStrictEqual(
      ownMethodsOf(clientOf(world))
        .filter((name) => !accessors.includes(name))
        .sort(),
      known.sort()
    )
  })

  it("governs and denies whatever is sent by hand (WRP-01, THR-05)", async () => {
    await using world = await openWorld()
    const client = clientOf(world, {}, { maxRetries: 0 })
    const body = { model, messages, max_tokens: 5 }
    const path = "/v1/messages"
    await client.post(path, { body })
    await client.request({ method: "post", path, body })
    await client.post(`${world.provider.url}${path}`, { body })
    const init = { method: "post", body: JSON.stringify(body) }
    // Protected in its types, but there.
    const below = client as unknown as Record<string, (...args: Array<unknown>) => Promise<unknown>>
    await below.fetchWithTimeout?.(`${world.provider.url}${path}`, init, 5000, new AbortController())
    await below.fetch?.(`${world.provider.url}${path}`, init)
    assert.strictEqual(world.provider.hits(path).length, 5)
    assert.strictEqual((await world.kinds()).length, 10)
    for (const call of [
      () => client.put(path, { body }),
      () => client.patch(path, { body }),
      () => client.post("/v1/messages/batches", { body }),
      () => client.post(`${path}/`, { body }),
      () => client.post("/v1/complete", { body })
    ])
      assert.strictEqual(tagOf(await rejection(call())), "UngovernedCall")
    assert.strictEqual(world.provider.requests.length, 5)
  })
})
