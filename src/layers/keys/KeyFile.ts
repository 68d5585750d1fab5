import { type KeyObject, randomBytes } from "node:crypto"
import { closeSync, fstatSync, fsyncSync, linkSync, mkdirSync, openSync, readSync, rmSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import { Result } from "effect"
import type { AgentKeyUnusable } from "../../schema/AgentKeyError.ts"
import { generatePrivateKey, parsePrivateKey } from "./PrivateKey.ts"

type Problem = AgentKeyUnusable["problem"]

/**
 * The key in a file, made there when it is missing. However many processes start at the same moment, they end with one key:
 * a whole file is linked to its name, and a link fails where the name is taken (IDN-08). A file that others could read is
 * refused, never replaced (K-09).
 */
export const loadKeyFile = (path: string): Result.Result<KeyObject, Problem> => {
  const found = read(path)
  if (Result.isSuccess(found) || found.failure !== "missing") return found
  return Result.flatMap(
    guarded(() => make(path)),
    (made) => (made ? read(path) : Result.fail("unreadable"))
  )
}

const maxBytes = 16_384

const read = (path: string): Result.Result<KeyObject, Problem> =>
  Result.flatMap(
    guarded(() => openSync(path, "r")),
    (file) => {
      const bytes = guarded(() => readOwn(file))
      closeSync(file)
      return Result.flatMap(bytes, (found) => (found === null ? Result.fail("permissions") : parsePrivateKey(found)))
    }
  )

/** What is read is what was looked at: both go by the open file, not by its name. Null when it is not ours alone. */
const readOwn = (file: number): Uint8Array | null => {
  const facts = fstatSync(file)
  if (!facts.isFile() || facts.uid !== (process.geteuid?.() ?? facts.uid) || (facts.mode & 0o177) !== 0) return null
  const bytes = new Uint8Array(Math.min(facts.size, maxBytes))
  readSync(file, bytes, 0, bytes.length, 0)
  return bytes
}

/** True when a whole key has that name now, ours or that of somebody who was faster. */
const make = (path: string): boolean => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const fresh = `${path}.${randomBytes(8).toString("hex")}`
  const file = openSync(fresh, "wx", 0o600)
  const text = Buffer.from(generatePrivateKey().export({ format: "pem", type: "pkcs8" }))
  const linked = Result.try({
    try: () => {
      writeSync(file, text)
      fsyncSync(file)
      linkSync(fresh, path)
    },
    catch: codeOf
  })
  text.fill(0)
  closeSync(file)
  rmSync(fresh, { force: true })
  return Result.isSuccess(linked) || linked.failure === "EEXIST"
}

/** What Node says by an exception is an answer here; its message is dropped. */
const guarded = <A>(run: () => A): Result.Result<A, Problem> =>
  Result.mapError(Result.try({ try: run, catch: (cause) => cause }), (cause) =>
    codeOf(cause) === "ENOENT" ? "missing" : "unreadable"
  )

const codeOf = (cause: unknown) => (cause instanceof Error && "code" in cause ? cause.code : undefined)
