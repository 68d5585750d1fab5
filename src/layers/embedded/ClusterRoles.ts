import { Effect, type Option } from "effect"
import type { Binaries } from "./Binaries.ts"
import { APP_ROLE, type Credentials, DATABASE, OWNER_ROLE, SUPER_ROLE } from "./ConnectionFile.ts"
import { EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"
import { runProgram } from "./Program.ts"
import type { ServerAccount } from "./ServerAccount.ts"
import { HASTY, QUIET, serverPath } from "./ServerSettings.ts"

/** Makes the roles and the database of a new cluster, with their passwords. */
export const makeRoles = (options: InCluster) => single(options, [...ROLES, ...passwords(options.credentials)])

/** Gives the roles of a cluster new passwords. */
export const setPasswords = (options: InCluster) => single(options, passwords(options.credentials))

interface InCluster {
  readonly cwd: string
  readonly binaries: Binaries
  readonly account: Option.Option<ServerAccount>
  readonly durable: boolean
  readonly credentials: Credentials
}

// Statements, one a line, in PostgreSQL's single-user mode: no connection, so no moment at which a server stands open without passwords.
const single = Effect.fnUntraced(function* (options: InCluster, statements: ReadonlyArray<string>) {
  const said = yield* runProgram({
    program: options.binaries.postgres,
    args: [
      "--single",
      "-D",
      serverPath(options.cwd, options.account),
      ...QUIET,
      ...(options.durable ? [] : HASTY),
      "postgres"
    ],
    cwd: options.cwd,
    account: options.account,
    input: `${statements.join("\n")}\n`
  })
  const failure = /(ERROR|FATAL|PANIC): .*/.exec(said)
  if (failure === null) return
  return yield* new EmbeddedPostgresError({
    operation: "initialise",
    problem: "directory",
    subject: options.cwd,
    detail: failure[0]
  })
})

const ROLES = [
  `CREATE ROLE ${OWNER_ROLE} LOGIN CREATEROLE`,
  `CREATE ROLE ${APP_ROLE} LOGIN`,
  `GRANT ${APP_ROLE} TO ${OWNER_ROLE} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`,
  `CREATE DATABASE ${DATABASE} OWNER ${OWNER_ROLE}`,
  `REVOKE ALL ON DATABASE ${DATABASE} FROM PUBLIC`,
  `GRANT CONNECT ON DATABASE ${DATABASE} TO ${APP_ROLE}`
]

const passwords = (credentials: Credentials) => [
  `ALTER ROLE ${SUPER_ROLE} PASSWORD '${credentials.superuser}'`,
  `ALTER ROLE ${OWNER_ROLE} PASSWORD '${credentials.owner}'`,
  `ALTER ROLE ${APP_ROLE} PASSWORD '${credentials.app}'`
]
