import type { ChildProcess } from "node:child_process"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { BridgeStats } from "../../src/schema/BridgeStats.ts"
import { TestDatabase } from "../support/database.ts"
import { scripted, served } from "./Platform.ts"
import { startWorker } from "./WorkerProcess.ts"

interface Told {
  readonly logged?: string
  readonly status?: string
  readonly stats?: BridgeStats
}

const until = (what: string, is: Effect.Effect<boolean, unknown, SqlClient.SqlClient>, tries = 600) =>
  Effect.gen(function* () {
    for (let i = 0; i < tries; i++) {
      if (yield* Effect.orElseSucceed(is, () => false)) return
      yield* Effect.sleep(50)
    }
    assert.fail(`never happened: ${what}`)
  })

/** A platform that is killed for: what has arrived there, in the order of arrival. */
export interface Target {
  readonly port: number
  readonly token: string
  readonly arrived: Effect.Effect<
    ReadonlyArray<{ readonly id: string; readonly instance: string; readonly seq: number }>
  >
}

/** The platform of a script, over real sockets. */
export const scriptedTarget = Effect.gen(function* () {
  const platform = scripted()
  const port = yield* served(platform)
  const arrived = Effect.sync(() =>
    [...platform.events].map(([id, { seq }]) => ({ id, seq, instance: [...platform.expected.keys()].join() }))
  )
  return { port, token: "wf_0123456789abcdefghij", arrived } satisfies Target
})

/**
 * Kills processes that write and send, that many times, at any moment; then lets one end the work. Every event that a process was
 * told is stored is at the platform, none twice, and no `seq` was ever refused (G12, B-20).
 */
export const killOutboxes = Effect.fnUntraced(function* (kills: number, { arrived, port, token }: Target) {
  const { appUrl } = yield* TestDatabase
  const sql = yield* SqlClient.SqlClient
  let healed = 0
  const logged = new Set<string>()
  let latest: BridgeStats | undefined
  let sentBy = 0

  const start = (name: string, writes: "yes" | "no") =>
    Effect.acquireRelease(
      Effect.callback<ChildProcess>((resume) => {
        const child = startWorker(appUrl, [name, `${port}`, writes, token])
        child.on("message", (told: Told & { readonly ready?: boolean }) => {
          if (told.ready) resume(Effect.succeed(child))
          if (told.logged !== undefined && told.status === "stored") logged.add(told.logged)
          if (told.stats !== undefined) {
            latest = told.stats
            healed += told.stats.seqHealed
          }
        })
        child.on("exit", () => resume(Effect.die(new Error(`${name} ended at its start`))))
      }),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )

  // A new reader begins with the present: what is written before it is there is none of its business.
  const beginner = yield* start("beginner", "no")
  yield* until(
    "the reader begins",
    Effect.map(sql`SELECT 1 FROM governance_readers WHERE begun`, (rows) => rows.length === 1)
  )

  beginner.kill("SIGKILL")
  for (let i = 1; i <= kills; i++) {
    const child = yield* start(`w${i}`, "yes")
    const before = (yield* arrived).length
    const sends = i % 2 === 0
    // Every other one dies soon, wherever it is; the others after they have sent something, with more under way.
    if (sends) {
      yield* until(
        `process ${i} sends`,
        Effect.map(arrived, (events) => events.length > before + 20)
      )
    }
    yield* Effect.sleep(20 + ((i * 137) % 300))
    child.kill("SIGKILL")
    if (sends) sentBy++
  }

  yield* start("last", "no")
  const hasAll = (ids: Iterable<string>) =>
    Effect.map(arrived, (events) => {
      const there = new Set(events.map(({ id }) => id))
      return [...ids].every((id) => there.has(id))
    })
  yield* until("everything is there", hasAll(logged), 2400)
  const rows = yield* sql<{ readonly id: string }>`SELECT id::text AS id FROM governance_audit_events`
  yield* until("the log is there whole", hasAll(rows.map(({ id }) => id)))
  const events = yield* arrived
  assert.isAbove(logged.size, kills * 5)
  assert.isAtLeast(sentBy, Math.floor(kills / 2))
  assert.strictEqual(new Set(events.map(({ id }) => id)).size, events.length, "an event is there twice")
  const seqs = events.map(({ seq }) => seq)
  assert.strictEqual(new Set(seqs).size, seqs.length, "a place in the sequence was used twice")
  assert.lengthOf([...new Set(events.map(({ instance }) => instance))], 1)
  assert.strictEqual(healed, 0, "a seq was refused")
  assert.strictEqual(latest?.skipped, 0)
  return { logged: logged.size, events: events.length, highest: Math.max(...seqs) }
})
