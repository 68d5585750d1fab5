import { Effect, FileSystem, Option, type PlatformError, Semaphore, Stream } from "effect"
import { formatEntry, type LogEntry, parseEntry } from "../schema/CheckpointEntry.ts"
import { CheckpointSinkError } from "../schema/CheckpointError.ts"
import { advance, type CheckpointSink, emptyHead, type SinkHead } from "../services/CheckpointSink.ts"

/**
 * Checkpoints in a file of JSON lines, for its owner alone (0600). Everything is added in one write at the end and flushed, so
 * several processes may share it: what two of them add twice is the same bytes. A line that a crash tore is ended by the next
 * writer, who adds what it held again.
 */
export const make = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  const one = Semaphore.makeUnsafe(1)
  // What was read already is not read again, unless the file was replaced or cut.
  let known: Known = nothing

  const failed = (problem: CheckpointSinkError["problem"]) => () => new CheckpointSinkError({ sink: path, problem })

  const look = Effect.gen(function* () {
    const info = yield* found(files.stat(path))
    if (Option.isNone(info)) {
      known = nothing
      return null
    }
    const ino = Number(Option.getOrElse(info.value.ino, () => 0))
    const size = Number(info.value.size)
    if (ino !== known.ino || size < known.bytes) known = { ...nothing, ino }
    known = yield* Stream.runFold(
      files.stream(path, { offset: known.bytes }),
      () => known,
      (before, part) => addPart(before, part)
    )
    return { info: info.value, size }
  }).pipe(Effect.mapError(failed("unreadable")))

  const head = one.withPermit(Effect.map(look, (there): SinkHead | null => (there === null ? null : known.head)))

  const append = (entries: ReadonlyArray<LogEntry>) =>
    one.withPermit(
      Effect.gen(function* () {
        const there = yield* look
        if (there !== null && (there.info.type !== "File" || (there.info.mode & 0o022) !== 0)) {
          return yield* failed("foreign")()
        }
        const torn = there !== null && known.rest.length > 0
        const text = (torn ? "\n" : "") + entries.map(formatEntry).join("")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const handle = yield* files.open(path, { flag: "a", mode: 0o600 })
            yield* handle.writeAll(new TextEncoder().encode(text))
            yield* handle.sync
          })
        ).pipe(Effect.mapError(failed("unwritable")))
      })
    )

  const read: Stream.Stream<LogEntry, CheckpointSinkError> = Stream.unwrap(
    Effect.map(
      one.withPermit(
        Effect.andThen(
          look,
          Effect.sync(() => known.bytes)
        )
      ),
      (bytes) =>
        bytes === 0
          ? Stream.empty
          : files.stream(path, { bytesToRead: bytes }).pipe(
              Stream.decodeText(),
              Stream.splitLines,
              Stream.filter((line) => line !== ""),
              Stream.map(parseEntry),
              Stream.mapError(failed("unreadable"))
            )
    )
  )

  return { name: path, head, append, read } satisfies CheckpointSink
})

interface Known {
  readonly ino: number
  /** Bytes of complete lines. */
  readonly bytes: number
  readonly head: SinkHead
  /** What stands after the last line break. */
  readonly rest: Uint8Array
}

const nothing: Known = { ino: 0, bytes: 0, head: emptyHead, rest: new Uint8Array(0) }

const addPart = (known: Known, part: Uint8Array): Known => {
  const all = Buffer.concat([known.rest, part])
  const end = all.lastIndexOf(0x0a) + 1
  const lines = all.subarray(0, end).toString("utf8").split("\n")
  const head = lines.reduce((before, line) => (line === "" ? before : advance(before, parseEntry(line))), known.head)
  return { ...known, bytes: known.bytes + end, head, rest: Uint8Array.from(all.subarray(end)) }
}

/** None for a file that is not there; every other trouble stays one. */
const found = <A, R>(self: Effect.Effect<A, PlatformError.PlatformError, R>) =>
  Effect.catchIf(
    Effect.asSome(self),
    (error) => error.reason._tag === "NotFound",
    () => Effect.succeed(Option.none<A>())
  )
