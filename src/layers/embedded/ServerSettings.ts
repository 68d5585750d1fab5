import { existsSync } from "node:fs"
import { Option } from "effect"
import type { ServerAccount } from "./ServerAccount.ts"

/**
 * How the server names its directory. As root it starts inside the directory and then drops its rights, so on Linux it needs no
 * way through the directories above and the data stay in place below a 0700 home, where no other process of its account can go.
 */
export const serverPath = (path: string, account: Option.Option<ServerAccount>): string =>
  Option.isSome(account) && existsSync("/proc/self/cwd") ? "/proc/self/cwd" : path

/** A statement's text may hold what only its row should hold; it never reaches the log. */
export const QUIET = [
  "-c",
  "log_min_error_statement=panic",
  "-c",
  "log_error_verbosity=terse",
  "-c",
  "log_checkpoints=off",
  "-c",
  "unix_socket_directories="
]
/** For data that nobody keeps: a crash of the machine may destroy them. */
export const HASTY = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
