import { spawn, spawnSync } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Option, Redacted } from "effect"
import { findServerAccount } from "../../src/layers/embedded/ServerAccount.ts"

/** Debian's place first, then wherever the shell finds it. */
export const binary: string | undefined = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].find((path) => existsSync(path))

export const version = () =>
  binary === undefined ? "" : spawnSync(binary, ["--version"], { encoding: "utf8" }).stdout.split("\n")[0]

/** PgBouncer in transaction mode in front of one database, with few server connections; a URL that leads through it. */
export const make = Effect.fnUntraced(function* (
  target: Redacted.Redacted<string>,
  options: { readonly servers: number }
) {
  const account = yield* findServerAccount
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-governance-pooler-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const port = yield* Effect.promise(freePort)
  const to = new URL(Redacted.value(target))
  const database = to.pathname.slice(1)
  const ini = `[databases]
${database} = host=${to.hostname} port=${to.port} dbname=${database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${join(directory, "users.txt")}
pool_mode = transaction
default_pool_size = ${options.servers}
max_client_conn = 200
query_wait_timeout = 10
logfile = ${join(directory, "log")}
`
  yield* Effect.sync(() => {
    writeFileSync(join(directory, "pgbouncer.ini"), ini)
    writeFileSync(join(directory, "users.txt"), `"${to.username}" "${decodeURIComponent(to.password)}"\n`)
    chmodSync(directory, 0o700)
    // It refuses to run as root, as PostgreSQL does.
    if (Option.isSome(account)) {
      for (const name of ["", "pgbouncer.ini", "users.txt"]) {
        chownSync(join(directory, name), account.value.uid, account.value.gid)
      }
    }
  })
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(binary ?? "pgbouncer", [join(directory, "pgbouncer.ini")], {
        stdio: "ignore",
        ...Option.getOrElse(account, () => ({}))
      })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.on("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )
  const through = new URL(to)
  through.port = String(port)
  return Redacted.make(through.toString())
})

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
