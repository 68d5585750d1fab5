import { Result } from "effect"

/** One line of a file, numbered from 1, or why it is none. */
export interface Line {
  readonly number: number
  readonly content: Result.Result<string, string>
}

/** No line of a recording may be longer: a file without line breaks must not end up in memory. */
export const maxLineBytes = 16 * 1024 * 1024

/** Cuts bytes into lines as they come in, and never holds more than one line. Blank lines are left out. */
export class LineSplitter {
  private parts: Array<Uint8Array> = []
  private size = 0
  private number = 1

  /** Every line that ends in this piece. */
  push(piece: Uint8Array): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    let from = 0
    for (;;) {
      const end = piece.indexOf(lineFeed, from)
      this.keep(piece.subarray(from, end === -1 ? undefined : end))
      if (end === -1) return lines
      lines.push(...this.take())
      from = end + 1
    }
  }

  /** The last line, when the file does not end with a line break. */
  end(): ReadonlyArray<Line> {
    return this.size === 0 ? [] : this.take()
  }

  private keep(part: Uint8Array): void {
    this.size += part.length
    // What is too long is counted and dropped.
    if (this.size > maxLineBytes) this.parts = []
    else if (part.length > 0) this.parts.push(part.slice())
  }

  private take(): ReadonlyArray<Line> {
    const number = this.number++
    const content = this.size > maxLineBytes ? tooLong : decoded(Buffer.concat(this.parts))
    this.parts = []
    this.size = 0
    return Result.isSuccess(content) && content.success.trim() === "" ? [] : [{ number, content }]
  }
}

const lineFeed = 0x0a
const tooLong: Result.Result<string, string> = Result.fail(`is longer than ${maxLineBytes / 1024 / 1024} MiB`)
// Without `ignoreBOM` a byte order mark is removed, which some editors put at the beginning of a file.
const utf8 = new TextDecoder("utf-8", { fatal: true })
const decoded = (bytes: Uint8Array): Result.Result<string, string> =>
  Result.mapError(
    Result.try(() => utf8.decode(bytes)),
    () => "is not UTF-8 text"
  )
