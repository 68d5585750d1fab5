import { randomBytes } from "node:crypto"
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, type Option, Schema } from "effect"
import { attempt } from "./EmbeddedPostgresError.ts"

/** The passwords of a cluster's three roles; made once, kept in `credentials.json` (0600) beside the cluster. */
export const Credentials = Schema.Struct({ superuser: Schema.String, owner: Schema.String, app: Schema.String })
export type Credentials = typeof Credentials.Type

/** What a running server tells its openers; in `connection.json` (0600) from its first answer until it stops. */
export const Connection = Schema.Struct({
  version: Schema.Literal(1),
  watchdog: Schema.Struct({ pid: Schema.Int, port: Schema.Int, token: Schema.String }),
  server: Schema.Struct({ pid: Schema.Int, port: Schema.Int }),
  credentials: Credentials
})
export type Connection = typeof Connection.Type

export const DATABASE = "governance"
export const SUPER_ROLE = "postgres"
export const OWNER_ROLE = "governance_owner"
export const APP_ROLE = "governance_app"

export const readConnection = (dataDir: string) => readPrivate(join(dataDir, "connection.json"), Connection)
export const writeConnection = (dataDir: string, connection: Connection) =>
  writePrivate(join(dataDir, "connection.json"), Schema.encodeSync(Connection)(connection))
export const removeConnection = (dataDir: string) =>
  Effect.ignore(Effect.try(() => rmSync(join(dataDir, "connection.json"), { force: true })))

export const readCredentials = (dataDir: string) => readPrivate(join(dataDir, "credentials.json"), Credentials)
export const writeCredentials = (dataDir: string, credentials: Credentials) =>
  writePrivate(join(dataDir, "credentials.json"), Schema.encodeSync(Credentials)(credentials))

// A file that others could have written, or that does not parse, counts as absent: the next start replaces it.
const readPrivate = <A, I>(path: string, schema: Schema.Codec<A, I>): Effect.Effect<Option.Option<A>> =>
  Effect.try(() => readOwn(path)).pipe(
    Effect.flatMap(Schema.decodeEffect(Schema.fromJsonString(schema))),
    Effect.option
  )

const readOwn = (path: string): string => {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  const facts = fstatSync(file)
  const ours = facts.isFile() && facts.uid === (process.geteuid?.() ?? facts.uid) && (facts.mode & 0o077) === 0
  const text = ours ? readFileSync(file, "utf8") : ""
  closeSync(file)
  return text
}

const writePrivate = (path: string, value: unknown) =>
  attempt("start", "directory", path, () => {
    const fresh = `${path}.${randomBytes(8).toString("hex")}`
    writeFileSync(fresh, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flag: "wx" })
    renameSync(fresh, path)
  })
