import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import OpenAI from "openai"
import * as OpenAi from "../../src/integrations/OpenAi.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { FakeProvider } from "../../src/testing/FakeProvider.ts"

const inMemory = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.scoped, Effect.provide(Memory.layer({ warnOnNoWrappers: false }), { local: true }))

const arranged = (requireApproval: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const policies = yield* Policies
    yield* policies.register("clerk", "scope", { allowedTools: ["refund"], allowedApis: ["GET https://x"] })
    yield* policies.register("clerk", "gate", { requireApproval })
    yield* (yield* Presence).heartbeat("clerk", { operatorId: "olga" })
  })

const model = { agentId: "clerk", sessionId: "s", model: "gpt-4o", llm: "llm.openai.chat", maxTokens: 5 }
const tag = <E extends { readonly _tag: string }, R>(call: Effect.Effect<unknown, E, R>) =>
  Effect.match(call, { onFailure: (error) => error._tag, onSuccess: () => "ran" })

describe("A call that is no tool's and needs a person", () => {
  it.live("is asked for where the program says so or a policy names it; a bare * is every tool (GAT-04)", () =>
    Effect.gen(function* () {
      yield* arranged(["*"])
      const now = { approval: { wait: false } }
      const run = (call: Parameters<typeof governed>[0]) => tag(governed(call)(Effect.void))
      assert.strictEqual(yield* run({ agentId: "clerk", tool: "refund", ...now }), "ApprovalPending")
      assert.strictEqual(yield* run({ ...model, ...now }), "ran")
      assert.strictEqual(yield* run({ agentId: "clerk", api: "GET https://x", ...now }), "ran")
      assert.strictEqual(yield* run({ ...model, approval: { wait: false, required: true } }), "ApprovalPending")
      yield* arranged(["llm.openai.*", "GET https://x"])
      assert.strictEqual(yield* run({ ...model, ...now }), "ApprovalPending")
      assert.strictEqual(yield* run({ agentId: "clerk", api: "GET https://x", ...now }), "ApprovalPending")
      assert.strictEqual(yield* run({ agentId: "clerk", tool: "refund", ...now }), "ran")
    }).pipe(inMemory)
  )

  it.live("waits outside of the SDK's timers, is one request for exactly this prompt, and is sent once (BEY-02)", () =>
    Effect.gen(function* () {
      yield* arranged(["llm.openai.chat"])
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => FakeProvider.start()),
        (one) => Effect.promise(() => one.close())
      )
      const bare = new OpenAI({ apiKey: "none", baseURL: server.openAiUrl, timeout: 200, maxRetries: 1 })
      const client = yield* OpenAi.govern(bare, { agentId: "clerk", sessionId: "s" })
      // Longer than what an audit row may hash: its digest stands for it.
      const ask = (end: string) =>
        Effect.promise(() =>
          client.chat.completions
            .create({
              model: "gpt-4o",
              max_tokens: 5,
              messages: [{ role: "user", content: "x".repeat(150_000) + end }]
            })
            .then(
              () => "sent",
              (error: { readonly _tag?: string }) => error._tag ?? "other"
            )
        )
      const waiting = yield* Effect.forkChild(ask("a"))
      const gates = yield* Gates
      const cards = yield* Effect.repeat(gates.list(), {
        until: (all) => all.length > 0,
        schedule: Schedule.spaced("10 millis")
      })
      yield* Effect.sleep("500 millis")
      assert.strictEqual(server.requests.length, 0)
      yield* gates.grant(cards[0]?.token ?? "", { by: "rita", reason: "fine" })
      assert.strictEqual(yield* Fiber.join(waiting), "sent")
      assert.strictEqual(server.requests.length, 1)
      const other = yield* Effect.forkChild(ask("b"))
      yield* Effect.repeat(gates.list(), { until: (all) => all.length > 0, schedule: Schedule.spaced("10 millis") })
      assert.strictEqual(server.requests.length, 1)
      yield* Fiber.interrupt(other)
    }).pipe(inMemory)
  )
})
