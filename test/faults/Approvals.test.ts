import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { patient } from "./Budgets.ts"
import * as Processes from "./Processes.ts"
import { admin } from "./Truth.ts"
import { scratch, until } from "./Waiting.ts"

const agent = "payer"

/** Processes of one deployment, and the file that their act writes to. */
const world = Effect.gen(function* () {
  const { appUrl } = yield* TestDatabase
  const processes = yield* Processes.make
  const file = join(yield* scratch, "paid")
  const worker = Effect.fnUntraced(function* (name: string) {
    const found = yield* processes.worker({ name, url: appUrl, options: { ...patient, leaseDuration: "2 seconds" } })
    yield* found.ask({
      do: "policies",
      agent,
      scope: { allowedTools: ["pay"] },
      gate: { requireApproval: ["pay"], expiresAfter: 3600 },
      operator: "olga"
    })
    return found
  })
  return { worker, file, paid: () => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []) }
})

const stateIs = (state: string) =>
  until(
    Effect.map(
      admin("SELECT 1 FROM governance_gates WHERE agent = $1 AND state = $2", [agent, state]),
      (rows) => rows.length === 1
    )
  )
const killed = Effect.fnUntraced(function* (worker: Processes.Worker) {
  yield* worker.kill("SIGKILL")
  assert.strictEqual((yield* worker.exited).signal, "SIGKILL")
})

describe("approvals and processes that are killed (BEY-02, BEY-10)", () => {
  it.live(
    "a call waits, its process is killed, another makes the same call: the same request, granted it runs once",
    () =>
      Effect.gen(function* () {
        const { file, paid, worker } = yield* world
        const call = { do: "pay", agent, n: 1, file, stops: false } as const
        const first = yield* worker("first")
        yield* Effect.forkScoped(Effect.exit(first.ask(call)))
        yield* stateIs("pending")
        const before = yield* first.ask({ do: "cards", agent })
        yield* killed(first)
        const second = yield* worker("second")
        const running = yield* Effect.forkScoped(second.ask(call))
        const { cards } = yield* second.ask({ do: "cards", agent })
        assert.deepStrictEqual(cards, before.cards)
        assert.deepStrictEqual(paid(), [])
        yield* second.ask({ do: "grant", token: cards[0]?.token ?? "", racers: 1 })
        assert.deepStrictEqual(yield* Fiber.join(running), { end: "paid" })
        assert.deepStrictEqual(paid(), [`${second.pid} paid 1`])
        assert.deepStrictEqual(yield* admin("SELECT count(*)::int FROM governance_gates"), [[1]])
        yield* Effect.forkScoped(Effect.exit(second.ask(call)))
        yield* stateIs("pending")
        const again = yield* second.ask({ do: "cards", agent })
        assert.deepStrictEqual(
          again.cards.map(({ earlier, outcome }) => [earlier, outcome]),
          [[cards[0]?.request ?? "", "completed"]]
        )
        assert.strictEqual(paid().length, 1)
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true })),
    { timeout: 90_000 }
  )

  it.live(
    "a process is killed between use and act: `outcome unknown` with the approval's name, nothing runs by itself, the next request says so (T-07)",
    () =>
      Effect.gen(function* () {
        const { file, paid, worker } = yield* world
        const call = { do: "pay", agent, n: 1, file } as const
        const [victim, other] = [yield* worker("victim"), yield* worker("other")]
        yield* Effect.forkScoped(Effect.exit(victim.ask({ ...call, stops: true })))
        yield* stateIs("pending")
        const [card] = (yield* other.ask({ do: "cards", agent })).cards
        yield* other.ask({ do: "grant", token: card?.token ?? "", racers: 1 })
        yield* stateIs("consumed")
        yield* killed(victim)
        const orphans = admin(
          "SELECT canonical::jsonb->'metadata' FROM governance_audit_events WHERE kind = 'call.orphaned'"
        )
        yield* until(
          Effect.andThen(
            other.ask({ do: "sweep" }),
            Effect.map(orphans, (rows) => rows.length > 0)
          )
        )
        const found: ReadonlyArray<unknown> = (yield* orphans).map(([metadata]) => metadata)
        assert.strictEqual(found.length, 1)
        assert.deepInclude(found[0], { name: "pay", approval: card?.request, approvedAct: "outcome unknown" })
        assert.deepStrictEqual(paid(), [])
        const running = yield* Effect.forkScoped(other.ask({ ...call, stops: false }))
        yield* stateIs("pending")
        const { cards } = yield* other.ask({ do: "cards", agent })
        assert.deepStrictEqual(
          cards.map(({ earlier, outcome }) => [earlier, outcome]),
          [[card?.request ?? "", "unknown"]]
        )
        assert.notStrictEqual(cards[0]?.request, card?.request)
        assert.deepStrictEqual(paid(), [])
        // A person has looked, and says: do it.
        yield* other.ask({ do: "grant", token: cards[0]?.token ?? "", racers: 1 })
        assert.deepStrictEqual(yield* Fiber.join(running), { end: "paid" })
        assert.deepStrictEqual(paid(), [`${other.pid} paid 1`])
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true })),
    { timeout: 90_000 }
  )
})
