// Whether another process lives, and where temporary files belong, only the operating system can say.
import { hostname, tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { Clock, Effect, Exit, FileSystem, Layer, Option, Path, Result, Scope, Semaphore } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import type { Digest } from "../schema/Chain.ts"
import type { AuditDraft } from "../schema/Envelope.ts"
import { draftText, footerText, headerText, lineText, macInput, readSpool, spoolLabel } from "../schema/SpoolText.ts"
import { AuditFallback, makeMemory, type ReplaySink } from "../services/AuditFallback.ts"
import { ChainKeys } from "../services/ChainKeys.ts"

/** Where events wait unless a program chose another place (OQ-14). */
export const defaultDirectory = () => join(tmpdir(), `effect-governance-${userInfo().username}`)

export interface JsonlFallbackOptions {
  /** Default: a directory of this user's below the operating system's temporary one. Made with mode 0700. */
  readonly directory?: string | null | undefined
  /** A file is sealed at this size and another begun, default 50 MB (JSL-01). */
  readonly maxFileBytes?: number | undefined
  /** Sealed files beside the open one, default 5; beyond that events are kept in memory, as far as it goes. */
  readonly maxFiles?: number | undefined
}

/**
 * Events on disk while the database does not answer: one JSON line each, chained by HMAC, so that an edited, reordered or cut
 * file is seen before it is believed. Each process has its own files and adopts those of dead ones. Where the disk
 * refuses, memory takes over and a warning a minute says so (JSL-01, R-04).
 */
export const make = Effect.fnUntraced(function* (options: JsonlFallbackOptions = {}) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const keys = yield* ChainKeys
  const random = yield* SecureRandom.SecureRandom
  const memory = makeMemory()
  const one = Semaphore.makeUnsafe(1)
  const directory = options.directory ?? defaultDirectory()
  // A directory that was chosen for us may be read by others, since the files may not; the one we make is ours alone.
  const forbidden = options.directory == null ? 0o077 : 0o022
  const maxFileBytes = options.maxFileBytes ?? 50_000_000
  const maxFiles = options.maxFiles ?? 5
  const instance = Hex.encode(yield* random.randomBytes(8))
  const own = (name: string) => `audit.${hostname()}.${process.pid}.${instance}.${name}.jsonl`
  liveInstances.add(instance)

  let open: Spool | null = null
  let sealed: Array<{ readonly file: string; readonly lines: number }> = []
  let files = 0
  let warnedMs = Number.NEGATIVE_INFINITY

  const warn = (what: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now - warnedMs < 60_000) return Effect.void
      warnedMs = now
      return Effect.logWarning("audit.fallback_disk_unavailable").pipe(Effect.annotateLogs({ problem: what }))
    })

  const begin = Effect.gen(function* () {
    yield* fs.makeDirectory(directory, { recursive: true, mode: 0o700 })
    const info = yield* fs.stat(directory)
    if (info.type !== "Directory" || (info.mode & forbidden) !== 0)
      return yield* Effect.fail("the directory is open to others")
    const file = path.join(directory, own(`${files++}`))
    const scope = yield* Scope.make()
    const handle = yield* Scope.provide(fs.open(file, { flag: "wx", mode: 0o600 }), scope)
    const header = headerText(instance, keys.current.keyId)
    const mac = keys.current.mac(spoolLabel + header)
    const text = lineText(header, mac)
    yield* handle.writeAll(encoder.encode(text))
    return { file, handle, scope, mac, lines: 0, bytes: text.length, key: keys.current.mac } satisfies Spool
  })

  const writeLine = Effect.fnUntraced(function* (spool: Spool, body: string) {
    const mac = spool.key(macInput(spool.mac, body))
    const bytes = encoder.encode(lineText(body, mac))
    yield* spool.handle.writeAll(bytes)
    return { ...spool, mac, lines: spool.lines + 1, bytes: spool.bytes + bytes.length }
  })

  /** The footer says how many lines there are: without it a file that was cut at a line's end would look whole. */
  const sealOpen = Effect.gen(function* () {
    if (open === null) return
    const last = open
    open = null
    sealed.push({ file: last.file, lines: last.lines })
    yield* Effect.ensuring(
      Effect.andThen(writeLine(last, footerText(last.lines)), last.handle.sync),
      Scope.close(last.scope, Exit.void)
    )
  })

  const toDisk = Effect.fnUntraced(function* (draft: AuditDraft) {
    if (open !== null && open.bytes >= maxFileBytes) yield* Effect.ignore(sealOpen)
    if (open === null) {
      if (sealed.length >= maxFiles) return yield* Effect.fail("the spool files are full")
      open = yield* begin
    }
    const spool = open
    // After a failed write the end of the file is unknown: it is left as it is, and another begun.
    open = null
    open = yield* Effect.tapError(writeLine(spool, draftText(draft)), () =>
      Effect.andThen(
        Effect.sync(() => sealed.push({ file: spool.file, lines: spool.lines })),
        Scope.close(spool.scope, Exit.void)
      )
    )
    return true
  })

  const spool = (draft: AuditDraft) =>
    one.withPermit(
      Effect.catch(Effect.uninterruptible(toDisk(draft)), (error) =>
        Effect.andThen(warn(typeof error === "string" ? error : error.message), memory.spool(draft))
      )
    )

  /** Files of processes that have ended are renamed to be ours; of two that try, one succeeds. */
  const adopt = Effect.gen(function* () {
    const names = yield* Effect.orElseSucceed(fs.readDirectory(directory), () => [])
    for (const name of names.toSorted()) {
      const parts = /^audit\.(.+)\.(\d+)\.([0-9a-f]{16})\.[^.]+\.jsonl$/.exec(name)
      if (parts === null || !isAbandoned(parts[1]!, Number(parts[2]), parts[3]!)) continue
      const file = path.join(directory, own(`adopted-${files++}`))
      const renamed = yield* Effect.result(fs.rename(path.join(directory, name), file))
      if (Result.isSuccess(renamed)) sealed.push({ file, lines: 0 })
    }
  })

  const replayFile = Effect.fnUntraced(function* <E, R>(file: string, sink: ReplaySink<E, R>) {
    const text = yield* Effect.option(fs.readFileString(file))
    if (Option.isNone(text)) return { replayed: 0, broken: 0 }
    const found = readSpool(text.value, (keyId) => keys.macFor(keyId))
    yield* Effect.forEach(found.drafts, sink.append, { discard: true })
    if (found.problem !== null) {
      yield* sink.broken({ file: path.basename(file), problem: found.problem, afterLine: found.drafts.length })
      // Evidence is kept, under a name that nobody replays.
      yield* Effect.ignore(fs.rename(file, `${file}.broken`))
    } else yield* Effect.ignore(fs.remove(file))
    return { replayed: found.drafts.length, broken: found.problem === null ? 0 : 1 }
  })

  const replay = Effect.fnUntraced(function* <E, R>(sink: ReplaySink<E, R>) {
    yield* one.withPermit(Effect.andThen(Effect.ignore(sealOpen), adopt))
    let replayed = 0
    let broken = 0
    for (let next = sealed[0]; next !== undefined; next = sealed[0]) {
      const count = yield* replayFile(next.file, sink)
      sealed = sealed.slice(1)
      replayed += count.replayed
      broken += count.broken
    }
    const rest = yield* memory.replay(sink)
    return { replayed: replayed + rest.replayed, broken }
  })

  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      Effect.ignore(one.withPermit(sealOpen)),
      Effect.sync(() => liveInstances.delete(instance))
    )
  )

  return AuditFallback.of({
    spool,
    replay,
    stats: Effect.map(memory.stats, ({ waiting, dropped }) => ({
      waiting: waiting + (open?.lines ?? 0) + sealed.reduce((sum, file) => sum + Math.max(1, file.lines), 0),
      dropped
    }))
  })
})

/** Needs ChainKeys, FileSystem and Path. */
export const layerWith = (options: JsonlFallbackOptions) =>
  Layer.effect(AuditFallback, make(options)).pipe(Layer.provide(SecureRandom.layerWebCrypto))

export const layer = layerWith({})

interface Spool {
  readonly file: string
  readonly handle: FileSystem.File
  readonly scope: Scope.Closeable
  readonly mac: Uint8Array
  readonly lines: number
  readonly bytes: number
  readonly key: Digest
}

const encoder = new TextEncoder()

/** Of this very process: its own id says nothing about which layer in it still lives. */
const liveInstances = new Set<string>()

/** A process on another machine cannot be asked, so its files are left to it. */
const isAbandoned = (host: string, pid: number, instance: string): boolean => {
  if (host !== hostname()) return false
  if (pid === process.pid) return !liveInstances.has(instance)
  // Signal 0 only asks; EPERM means that the process lives under another user.
  const asked = Result.try({ try: () => process.kill(pid, 0), catch: (error) => error })
  return Result.isFailure(asked) && hasCode(asked.failure, "ESRCH")
}

const hasCode = (error: unknown, code: string) =>
  typeof error === "object" && error !== null && "code" in error && error.code === code
