import { readFileSync } from "node:fs"
import { Effect, Option } from "effect"

/** The account the server runs under when we are root, because PostgreSQL refuses root. None: it runs as ourselves. */
export interface ServerAccount {
  readonly uid: number
  readonly gid: number
}

/** The machine's `nobody`; 65534 where the user list does not name one. */
export const findServerAccount: Effect.Effect<Option.Option<ServerAccount>> = Effect.sync(() =>
  process.geteuid?.() === 0 ? Option.some(nobody(readUsers())) : Option.none()
)

const readUsers = (): string =>
  Effect.runSync(
    Effect.orElseSucceed(
      Effect.try(() => readFileSync("/etc/passwd", "utf8")),
      () => ""
    )
  )

const nobody = (users: string): ServerAccount => {
  const match = /^nobody:[^:]*:(\d+):(\d+):/m.exec(users)
  return match === null ? { uid: 65534, gid: 65534 } : { uid: Number(match[1]), gid: Number(match[2]) }
}

/** What `spawn` takes to run a program under the account. */
export const asAccount = (account: Option.Option<ServerAccount>): { readonly uid?: number; readonly gid?: number } =>
  Option.getOrElse(account, () => ({}))

/** The server sees nothing of our environment: it may hold keys. */
// The search path alone is handed on, so that initdb finds a shell.
export const serverEnvironment = { PATH: process.env.PATH ?? "/usr/bin:/bin", TZ: "UTC", LC_ALL: "C" }
