import { Effect, FileSystem, Result, Stdio, Stream } from "effect"
import { UsageError } from "./CliFailure.ts"

/** A file as UTF-8 text, refused above `maxBytes` before it is read into memory. */
export const readText = Effect.fnUntraced(function* (path: string, maxBytes: number) {
  const files = yield* FileSystem.FileSystem
  const bytes = yield* collect(files.stream(path), maxBytes, path)
  return yield* decoded(bytes, path)
})

/** Standard input to its end, with the same bound. */
export const readInput = Effect.fnUntraced(function* (maxBytes: number) {
  const stdio = yield* Stdio.Stdio
  if (yield* stdio.stdinIsTerminal) {
    return yield* new UsageError({
      subject: "Standard input",
      problem: "is a terminal",
      todo: "Pipe the text in, or name a file."
    })
  }
  return yield* decoded(yield* collect(stdio.stdin, maxBytes, "standard input"), "standard input")
})

/** The text of a file, or of standard input where the path is `-`. */
export const readFrom = (path: string, maxBytes: number) =>
  path === "-" ? readInput(maxBytes) : readText(path, maxBytes)

const collect = <E, R>(stream: Stream.Stream<Uint8Array, E, R>, maxBytes: number, name: string) =>
  Effect.gen(function* () {
    const parts: Array<Uint8Array> = []
    let size = 0
    yield* Stream.runForEach(stream, (part) => {
      size += part.length
      parts.push(part)
      return size > maxBytes ? Effect.fail("too large" as const) : Effect.void
    })
    return Buffer.concat(parts)
  }).pipe(
    Effect.mapError((error) =>
      error === "too large"
        ? new UsageError({ subject: name, problem: `is larger than ${maxBytes} bytes`, todo: "Give less." })
        : new UsageError({
            subject: name,
            problem: "cannot be read",
            todo: "Check that it exists and that you may read it."
          })
    )
  )

const decoded = (bytes: Uint8Array, name: string) =>
  Result.match(
    Result.try(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
    {
      onSuccess: (text) => Effect.succeed(text),
      onFailure: () =>
        Effect.fail(new UsageError({ subject: name, problem: "is not UTF-8 text", todo: "Save it as UTF-8." }))
    }
  )
