import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { env, receiver } from "../egress/AlertReceiver.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import * as Processes from "./Processes.ts"

const until = (is: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 600 && !is(); i++) yield* Effect.sleep(50)
    assert.isTrue(is(), "never happened")
  })

describe("budget alerts and several processes", () => {
  it.live(
    "four that cross together send one; none is sent again after `kill -9` and restart, and the next is sent (WHK-03, V8-05)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const { budget, heard, options } = yield* receiver
        const processes = yield* Processes.make
        const start = (name: string) => processes.worker({ name, url: appUrl, options, env })
        const told = () => heard.map(({ agent_id, cap_id }) => `${agent_id} ${cap_id}`)
        const spend = ({ ask }: Processes.Worker, agent: string, callers: number) =>
          Effect.andThen(
            ask({ do: "policies", agent, scope: { allowedTools: ["*"] }, budget }),
            ask({ do: "admit", agent, session: "s", callers, maxUsd: "1", lastsMs: 0 })
          )
        const all = yield* Effect.forEach(["a", "b", "c", "d"], start)
        // The reader has begun when the database says so; a first alert shows it without asking.
        yield* spend(all[0]!, "first", 85)
        yield* until(() => heard.length === 1)
        yield* Effect.forEach(all, (worker) => spend(worker, "clerk", 20), { concurrency: "unbounded", discard: true })
        yield* until(() => heard.length === 2)
        yield* Effect.forEach(all.slice(1), (worker) => spend(worker, "clerk", 1), { discard: true })
        for (const { exited, kill } of all) yield* Effect.andThen(kill("SIGKILL"), exited)
        const restarted = yield* start("e")
        yield* spend(restarted, "clerk", 1)
        yield* spend(restarted, "next", 90)
        // The lease of the reader that died has to end first.
        yield* until(() => told().includes("next perAgentUsdDaily"))
        yield* Effect.sleep(3500)
        assert.deepStrictEqual(told(), ["first perAgentUsdDaily", "clerk perAgentUsdDaily", "next perAgentUsdDaily"])
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true })),
    90_000
  )
})
