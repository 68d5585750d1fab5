import { Effect } from "effect"
import { UsageError } from "../CliFailure.ts"

/** Runs synchronous calls of Node's on the file system, and says in our words what failed for which path. */
export const attempt = <A>(path: string, act: () => A): Effect.Effect<A, UsageError> =>
  Effect.try({ try: act, catch: (cause) => problemOf(path, codeOf(cause)) })

/** `ENOENT` and its like. */
export const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined

/** What an error code of the file system means for a path that we write. */
export const problemOf = (subject: string, code: string | undefined): UsageError => {
  const [problem, todo] = problems[code ?? ""] ?? [
    `cannot be written (${code ?? "unknown"})`,
    "Nothing was left behind. Try another directory."
  ]
  return new UsageError({ subject, problem, todo })
}

const denied = ["cannot be written", "Check whom the directory above it belongs to. Nothing was left behind."] as const
const full = ["cannot be written: the disk is full", "Make room and run it again. Nothing was left behind."] as const
const changed = [
  "was changed by somebody else meanwhile",
  "Look what happens there, and run it again. Nothing was left behind."
] as const

const problems: Readonly<Record<string, readonly [string, string]>> = {
  EACCES: denied,
  EPERM: denied,
  EROFS: denied,
  ENOSPC: full,
  EDQUOT: full,
  EEXIST: changed,
  ENOTEMPTY: changed,
  ENOTDIR: changed,
  ELOOP: changed,
  ENOENT: changed
}
