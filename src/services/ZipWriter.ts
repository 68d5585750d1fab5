import { Zip, ZipDeflate } from "fflate"

/**
 * A ZIP archive, made while its files come. Packed by fflate and not by Node's zlib, whose output differs between versions and
 * processors: here the same files always give the same bytes.
 */
export class ZipWriter {
  private chunks: Array<Uint8Array> = []
  private readonly zip = new Zip((error, chunk) => {
    if (error !== null) throw error
    this.chunks.push(chunk)
  })

  /** Begins a file; the one before it MUST have ended. `push` takes its bytes, `end` closes it. */
  file(name: string): { readonly push: (bytes: Uint8Array) => void; readonly end: () => void } {
    const file = new ZipDeflate(name, { level: 6 })
    file.mtime = epoch
    this.zip.add(file)
    return { push: (bytes) => file.push(bytes), end: () => file.push(new Uint8Array(0), true) }
  }

  end(): void {
    this.zip.end()
  }

  /** What was packed since the last time. */
  take(): ReadonlyArray<Uint8Array> {
    const { chunks } = this
    this.chunks = []
    return chunks
  }
}

/** Without a zone: ZIP has local times, and this one is the same everywhere. */
const epoch = "1980-01-01T00:00:00"
