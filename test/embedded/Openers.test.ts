import { spawnSync } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { afterEach, assert, describe, it } from "vitest"
import {
  cleanUp,
  connectionOf,
  isAlive,
  newDirectory,
  OPENER,
  type Opening,
  openIn,
  until,
  untilGone
} from "./Opening.ts"

afterEach(cleanUp)

const pidsOf = (opening: Opening) => {
  const { watchdog, server } = connectionOf(opening.dataDir)
  return [watchdog.pid, server.pid] as const
}
const answers = (url: string) =>
  Effect.runPromise(
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1`).pipe(
      Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })),
      Effect.isSuccess
    )
  )
const root = process.geteuid?.() === 0
const nobody = { uid: 65534, gid: 65534 }

describe("openers of one embedded server (design.md 6)", () => {
  it("a second process joins, the server survives the first one's exit and stops after the last", async () => {
    const dataDir = newDirectory()
    const first = await openIn([dataDir])
    const second = await openIn([dataDir])
    assert.deepStrictEqual([first.startedHere, second.startedHere, first.appUrl], [true, false, second.appUrl])
    const pids = pidsOf(second)
    await first.leave()
    assert.isTrue(pids.every(isAlive))
    assert.isTrue(await answers(second.appUrl))
    await second.leave()
    assert.deepStrictEqual(pids.filter(isAlive), [], "nothing is left at the moment the last opener has ended")
  })

  it("simultaneous starters end at one server", async () => {
    const dataDir = newDirectory()
    const all = await Promise.all([openIn([dataDir]), openIn([dataDir]), openIn([dataDir])])
    assert.strictEqual(all.filter((opening) => opening.startedHere).length, 1)
    assert.strictEqual(new Set(all.map((opening) => opening.appUrl)).size, 1)
    const pids = pidsOf(all[0]!)
    await Promise.all(all.map((opening) => opening.leave()))
    await untilGone(...pids)
  })

  for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
    it(`an opener ended by ${signal} leaves no server, no watchdog and, for a throw-away one, no directory`, async () => {
      const opening = await openIn([])
      const pids = pidsOf(opening)
      opening.child.kill(signal)
      await untilGone(...pids)
      await until("the directory to go", () => !existsSync(opening.dataDir))
    })
  }

  it("a watchdog and an opener killed at once leave no server", async () => {
    const opening = await openIn([newDirectory()])
    const [watchdog, server] = pidsOf(opening)
    opening.child.kill("SIGKILL")
    process.kill(watchdog, "SIGKILL")
    await untilGone(watchdog, server)
  })

  it("a killed watchdog's server is stopped and replaced at the same address for the openers that live", async () => {
    const opening = await openIn([newDirectory()])
    const [watchdog, server] = pidsOf(opening)
    process.kill(watchdog, "SIGKILL")
    await untilGone(watchdog, server)
    await until("a new watchdog", () => connectionOf(opening.dataDir).watchdog.pid !== watchdog)
    assert.isTrue(await answers(opening.appUrl))
    const pids = pidsOf(opening)
    await opening.leave()
    await untilGone(...pids)
  })

  it("a killed server is replaced at the same address", async () => {
    const opening = await openIn([newDirectory()])
    const [watchdog, server] = pidsOf(opening)
    process.kill(server, "SIGKILL")
    await untilGone(watchdog, server)
    await until(
      "a new server",
      () => existsSync(join(opening.dataDir, "connection.json")) && connectionOf(opening.dataDir).server.pid !== server
    )
    assert.isTrue(await answers(opening.appUrl))
    const pids = pidsOf(opening)
    await opening.leave()
    await untilGone(...pids)
  })

  it("a watchdog told to end stops its server cleanly first", async () => {
    const opening = await openIn([newDirectory()])
    const [watchdog, server] = pidsOf(opening)
    opening.child.kill("SIGSTOP")
    process.kill(watchdog, "SIGTERM")
    await untilGone(watchdog, server)
    assert.include(readFileSync(join(opening.dataDir, "server.log"), "utf8"), "database system is shut down")
    assert.isFalse(existsSync(join(opening.dataDir, "connection.json")))
  })

  it("a stranger without the token is not let in and keeps nothing alive", async () => {
    const opening = await openIn([newDirectory()])
    const pids = pidsOf(opening)
    const heard = await new Promise<string>((resolve) => {
      let said = ""
      const socket = connect({ port: connectionOf(opening.dataDir).watchdog.port, host: "127.0.0.1" }, () =>
        socket.write("guess\n")
      )
      socket.on("data", (chunk) => {
        said += chunk
      })
      socket.on("error", () => {}).on("close", () => resolve(said))
    })
    assert.strictEqual(heard, "")
    await opening.leave()
    await untilGone(...pids)
  })

  it.skipIf(!root)(
    "as root the data may lie below a directory that nobody else can enter; the server is unprivileged",
    async () => {
      const closed = newDirectory()
      const dataDir = join(closed, "home", "project", ".governance")
      mkdirSync(join(closed, "home"), { mode: 0o700 })
      const opening = await openIn([dataDir])
      assert.isTrue(await answers(opening.appUrl))
      const [, server] = pidsOf(opening)
      assert.match(readFileSync(`/proc/${server}/status`, "utf8"), /^Uid:\s+(?!0\s)\d+\s/m)
      assert.strictEqual(statSync(dataDir).mode & 0o777, 0o700)
      assert.strictEqual(statSync(dataDir).uid, 0)
      await opening.leave()
    }
  )

  it("as an ordinary user it needs no rights and does not open another user's directory", async (context) => {
    const env = { PATH: process.env.PATH, HOME: "/nonexistent", TMPDIR: "/tmp" }
    const reach = spawnSync(process.execPath, ["-e", `require("node:fs").accessSync(${JSON.stringify(OPENER)})`], {
      ...nobody,
      env
    })
    if (!root || reach.status !== 0) return context.skip("needs root, and a checkout that other users can enter")
    const dataDir = newDirectory()
    chownSync(dataDir, nobody.uid, nobody.gid)
    const opening = await openIn([dataDir], { ...nobody, env })
    const pids = pidsOf(opening)
    assert.isTrue(await answers(opening.appUrl))
    const refused = await openIn([dataDir]).then(String, String)
    assert.include(refused, "it belongs to user 65534")
    await opening.leave()
    await untilGone(...pids)
    const loose = newDirectory()
    chownSync(loose, nobody.uid, nobody.gid)
    chmodSync(loose, 0o755)
    const other = await openIn([join(loose, "own")], { ...nobody, env })
    assert.strictEqual(statSync(join(loose, "own")).mode & 0o777, 0o700)
    await other.leave()
  })
})
