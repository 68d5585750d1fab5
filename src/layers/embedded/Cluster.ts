import { randomBytes } from "node:crypto"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { Effect, Option } from "effect"
import type { Binaries } from "./Binaries.ts"
import { makeRoles, setPasswords } from "./ClusterRoles.ts"
import { type Credentials, readCredentials, SUPER_ROLE, writeCredentials } from "./ConnectionFile.ts"
import { attempt, EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"
import { runProgram } from "./Program.ts"
import type { ServerAccount } from "./ServerAccount.ts"
import { serverPath } from "./ServerSettings.ts"

export interface Cluster {
  readonly path: string
  readonly credentials: Credentials
}

/**
 * Returns the cluster below the data directory, made first when there is none: under a temporary name, with its roles, database
 * and access rules, then renamed, so that one that exists is complete. MUST be called by the holder of the directory's lock.
 */
export const prepareCluster = Effect.fnUntraced(function* (options: Making) {
  const path = join(options.dataDir, "cluster")
  const known = yield* readCredentials(options.dataDir)
  const credentials = Option.getOrElse(known, newCredentials)
  if (!existsSync(path)) {
    yield* writeCredentials(options.dataDir, credentials)
    yield* create({ ...options, path, credentials })
    return { path, credentials }
  }
  const version = yield* attempt("start", "directory", path, () =>
    readFileSync(join(path, "PG_VERSION"), "utf8").trim()
  )
  if (version !== options.binaries.major) {
    const detail = `found ${version}, this release carries ${options.binaries.major}`
    return yield* new EmbeddedPostgresError({ operation: "start", problem: "version", subject: path, detail })
  }
  if (Option.isNone(known)) {
    yield* setPasswords({ ...options, cwd: path, credentials })
    yield* writeCredentials(options.dataDir, credentials)
  }
  return { path, credentials }
})

interface Making {
  readonly dataDir: string
  readonly binaries: Binaries
  readonly account: Option.Option<ServerAccount>
  readonly durable: boolean
}

const create = Effect.fnUntraced(function* (
  options: Making & { readonly path: string; readonly credentials: Credentials }
) {
  const fresh = `${options.path}.new-${randomBytes(8).toString("hex")}`
  yield* attempt("initialise", "directory", fresh, () => {
    for (const name of readdirSync(options.dataDir)) {
      if (name.startsWith("cluster.new-")) rmSync(join(options.dataDir, name), { recursive: true, force: true })
    }
    mkdirSync(fresh, { mode: 0o700 })
    own(fresh, options.account)
  })
  const sync = options.durable ? [] : ["--no-sync", "--no-data-checksums"]
  yield* runProgram({
    program: options.binaries.initdb,
    args: [
      "-D",
      serverPath(fresh, options.account),
      "-U",
      SUPER_ROLE,
      "--auth=reject",
      "--encoding=UTF8",
      "--locale=C",
      "--no-instructions",
      ...sync
    ],
    cwd: fresh,
    account: options.account,
    input: ""
  })
  yield* makeRoles({ ...options, cwd: fresh })
  yield* attempt("initialise", "directory", fresh, () => {
    const rules = join(fresh, "pg_hba.conf")
    writeFileSync(rules, "host all all 127.0.0.1/32 scram-sha-256\n", { mode: 0o600 })
    chmodSync(rules, 0o600)
    own(rules, options.account)
    renameSync(fresh, options.path)
  })
})

const newCredentials = (): Credentials => ({ superuser: secret(), owner: secret(), app: secret() })
// Hexadecimal, so that it needs no quoting in SQL or in a URL.
const secret = (): string => randomBytes(24).toString("hex")

const own = (path: string, account: Option.Option<ServerAccount>): void => {
  if (Option.isSome(account)) chownSync(path, account.value.uid, account.value.gid)
}
