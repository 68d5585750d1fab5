import { globSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { openWorld, rejection } from "../ClientWorld.ts"
import { methodCases, tagOf } from "../MethodCases.ts"
import { ownMethodsOf } from "../SdkMethods.ts"
import { clientOf, messages, model } from "./Client.ts"
import { openAiClient, openAiMethods, openAiSockets } from "./Methods.ts"

const file = new File(["x"], "x.txt")
const bodies = [
  {
    model,
    messages,
    input: "x",
    prompt: "x",
    max_tokens: 5,
    max_output_tokens: 20,
    tools: [],
    file,
    files: [file],
    thread_id: "a1",
    run_id: "a1",
    fine_tuned_model_checkpoint: "a1",
    permission_id: "a1"
  },
  { path: "/workspace/a.txt", file }
]

methodCases({
  name: "OpenAI's client",
  table: openAiMethods,
  bodies,
  forgets: ["vectorStores.fileBatches.uploadAndPoll"],
  open: (world) => clientOf(world, {}, { maxRetries: 0, adminAPIKey: "sk-admin" })
})

describe("OpenAI's client itself", () => {
  it("has no way to the network that nobody has looked at (WRP-01)", async () => {
    await using world = await openWorld()
    const known = `${openAiClient.network} ${openAiClient.local}`.split(" ")
    // Accessors of the prototype only tell what the client was made with.
    const accessors = ["baseURL", "apiKey"]
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
    const path = "/chat/completions"
    await client.post(path, { body })
    await client.request({ method: "post", path, body })
    await client.request({ method: "post", path: `${world.provider.openAiUrl}${path}`, body })
    await client.post(`${path}?x=1`, { body })
    await client.post("/moderations/..%2f../x/../chat/completions", { body }).catch(() => {})
    const init = { method: "post", body: JSON.stringify(body) }
    // Protected in its types, but there.
    const below = client as unknown as Record<string, (...args: Array<unknown>) => Promise<unknown>>
    const url = `${world.provider.openAiUrl}${path}`
    await below.fetchWithTimeout?.(url, init, 5000, new AbortController())
    await below.fetchWithAuth?.(url, init, 5000, new AbortController())
    await below.fetch?.(url, init)
    const kinds = await world.kinds()
    assert.strictEqual(kinds.length, 2 * world.provider.hits(path).length)
    assert.isAtLeast(kinds.length, 14)
    const sent = world.provider.requests.length
    for (const call of [
      () => client.put(path, { body }),
      () => client.patch(path, { body }),
      () => client.post("/images/generations", { body }),
      () => client.post(`${path}/`, { body }),
      () => client.post(path, { body: "no json" }),
      () => client.request({ method: "post", path: "/images/edits", body })
    ])
      assert.strictEqual(tagOf(await rejection(call())), "UngovernedCall")
    const refused = await below.fetch?.(`${world.provider.openAiUrl}/batches`, init)
    assert.strictEqual((refused as Response).status, 403)
    assert.strictEqual(world.provider.requests.length, sent)
  })

  it("opens sockets only where the documentation says that it is out of reach (THR-05)", () => {
    const root = join(import.meta.dirname, "../../../node_modules/openai")
    const found = globSync("**/{ws,websocket,webrtc}.js", { cwd: root, exclude: ["src/**", "internal/**"] })
    assert.deepStrictEqual(found.sort(), [...openAiSockets].sort())
  })
})
