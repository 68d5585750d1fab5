// Node's own inflate and CRC: the archive is foreign, and whoever opens it may have nothing else installed.
import { crc32, inflateRawSync } from "node:zlib"
import { Result } from "effect"
import { BundleRefused } from "../schema/BundleError.ts"
import { sameBytes } from "../schema/Chain.ts"

export interface ZipLimits {
  /** Uncompressed bytes of all files together. */
  readonly maxBytes: number
  readonly maxFiles: number
}

export const zipLimits: ZipLimits = { maxBytes: 2 ** 31 - 1, maxFiles: 32 }

/**
 * The files of an archive that is nothing but an archive: files one after another, then the directory, then its end, every
 * length and checksum told twice and equal. Refused: paths, links, duplicates, encryption, ZIP64, gaps, overlaps and whatever
 * unpacks to more than it says. Sizes are checked before anything is unpacked.
 */
export const readZip = (
  bytes: Uint8Array,
  limits: ZipLimits = zipLimits
): Result.Result<ReadonlyMap<string, Uint8Array>, BundleRefused> =>
  Result.flatMap(directoryOf(bytes, limits), (entries) => {
    const files = new Map<string, Uint8Array>()
    for (const entry of entries) {
      const content = contentOf(bytes, entry)
      if (content === undefined) return refuse(`${entry.name} is damaged`)
      files.set(entry.name, content)
    }
    return Result.succeed(files)
  })

interface Entry {
  readonly name: string
  readonly deflated: boolean
  readonly crc: number
  readonly start: number
  readonly packed: number
  readonly size: number
}

const refuse = (problem: string) => Result.fail(new BundleRefused({ problem }))

const endSize = 22
const headerSize = 46
const localSize = 30
const descriptorSize = 16

const directoryOf = (bytes: Uint8Array, limits: ZipLimits): Result.Result<ReadonlyArray<Entry>, BundleRefused> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = bytes.length - endSize
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) return refuse("it is no ZIP archive, or was cut off")
  const count = view.getUint16(end + 10, true)
  const directory = view.getUint32(end + 16, true)
  const oneDisk = view.getUint32(end + 4, true) === 0 && view.getUint16(end + 8, true) === count
  if (!oneDisk || view.getUint16(end + 20, true) !== 0 || directory + view.getUint32(end + 12, true) !== end) {
    return refuse("its directory does not end where the archive ends")
  }
  if (count > limits.maxFiles) return refuse(`it has more than ${limits.maxFiles} files`)
  const entries: Array<Entry> = []
  const names = new Set<string>()
  let at = directory
  let next = 0
  let total = 0
  for (let i = 0; i < count; i++) {
    if (at + headerSize > end || view.getUint32(at, true) !== 0x02014b50) return refuse("its directory is damaged")
    const flags = view.getUint16(at + 8, true)
    const method = view.getUint16(at + 10, true)
    const crc = view.getUint32(at + 16, true)
    const packed = view.getUint32(at + 20, true)
    const size = view.getUint32(at + 24, true)
    const nameSize = view.getUint16(at + 28, true)
    const length = headerSize + nameSize + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
    if (at + length > end) return refuse("its directory is damaged")
    const nameBytes = bytes.subarray(at + headerSize, at + headerSize + nameSize)
    const name = nameOf(nameBytes)
    if (name === undefined) return refuse("a file has a path or a name that no bundle has")
    if (names.has(name.toLowerCase())) return refuse(`${name} is in it twice`)
    names.add(name.toLowerCase())
    if ((flags & 1) !== 0) return refuse(`${name} is encrypted`)
    if ((flags & ~0x080e) !== 0 || (method !== 0 && method !== 8)) return refuse(`${name} is packed in an unknown way`)
    // The upper half holds Unix modes: only regular files, or none said.
    const mode = (view.getUint32(at + 38, true) >>> 28) & 0xf
    if (mode !== 0 && mode !== 8) return refuse(`${name} is no regular file`)
    total += size
    if (total > limits.maxBytes) return refuse("it unpacks to more than a bundle may have")
    const local = view.getUint32(at + 42, true)
    if (local !== next || local + localSize > directory) return refuse(`${name} does not stand where it should`)
    const [version, time] = [view.getUint16(at + 6, true), view.getUint32(at + 12, true)]
    if (!isLocal(view, local, { version, flags, method, time, crc, packed, size, nameSize }))
      return refuse(`${name} is damaged`)
    const start = local + localSize + nameSize + view.getUint16(local + 28, true)
    next = start + packed + ((flags & 8) === 0 ? 0 : descriptorSize)
    if (next > directory || !sameBytes(nameBytes, bytes.subarray(local + localSize, local + localSize + nameSize))) {
      return refuse(`${name} is damaged`)
    }
    if ((flags & 8) !== 0 && !isDescriptor(view, start + packed, crc, packed, size)) return refuse(`${name} is damaged`)
    entries.push({ name, deflated: method === 8, crc, start, packed, size })
    at += length
  }
  return at === end && next === directory ? Result.succeed(entries) : refuse("it holds bytes that belong to no file")
}

interface Told {
  readonly version: number
  readonly flags: number
  readonly method: number
  readonly time: number
  readonly crc: number
  readonly packed: number
  readonly size: number
  readonly nameSize: number
}

const isLocal = (view: DataView, at: number, told: Told): boolean => {
  const sizes = (told.flags & 8) === 0 ? [told.crc, told.packed, told.size] : [0, 0, 0]
  return (
    view.getUint32(at, true) === 0x04034b50 &&
    view.getUint16(at + 4, true) === told.version &&
    view.getUint16(at + 6, true) === told.flags &&
    view.getUint16(at + 8, true) === told.method &&
    view.getUint32(at + 10, true) === told.time &&
    view.getUint16(at + 26, true) === told.nameSize &&
    sizes.every((size, i) => view.getUint32(at + 14 + 4 * i, true) === size)
  )
}

const isDescriptor = (view: DataView, at: number, crc: number, packed: number, size: number): boolean =>
  [0x08074b50, crc, packed, size].every((value, i) => view.getUint32(at + 4 * i, true) === value)

const contentOf = (bytes: Uint8Array, { crc, deflated, packed, size, start }: Entry): Uint8Array | undefined => {
  const data = bytes.subarray(start, start + packed)
  if (!deflated) return packed === size && crc32(data) === crc ? data : undefined
  // Throws for what is no deflate stream or has more than `size` bytes.
  const unpacked = Result.try(() => inflateRawSync(data, { maxOutputLength: Math.max(1, size) }))
  if (Result.isFailure(unpacked)) return undefined
  const content = unpacked.success
  return content.length === size && crc32(content) === crc ? content : undefined
}

const nameOf = (bytes: Uint8Array): string | undefined => {
  const name = String.fromCharCode(...bytes.subarray(0, 101))
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) && bytes.length === name.length ? name : undefined
}
