import type { BundleForm } from "../schema/Bundle.ts"
import { documentOf, maxDocumentEvents } from "../schema/BundleDocument.ts"
import { ZipWriter } from "./ZipWriter.ts"

/** What takes the files of a bundle, one after another, and gives the bytes of the one file that leaves. */
export interface BundleContainer {
  /** Begins a file; the one before it MUST have ended. */
  readonly file: (name: string) => { readonly push: (bytes: Uint8Array) => void; readonly end: () => void }
  readonly end: () => void
  /** What can be written since the last time. */
  readonly take: () => ReadonlyArray<Uint8Array>
  /** How many bytes of rows it can hold. */
  readonly maxEventBytes: number
}

/** The container of a form. JSON begins with the hash of everything, so nothing of it can be written before the end. */
export const containerOf = (form: BundleForm): BundleContainer => (form === "zip" ? archive() : document())

const archive = (): BundleContainer => {
  const zip = new ZipWriter()
  return {
    file: (name) => zip.file(name),
    end: () => zip.end(),
    take: () => zip.take(),
    // An archive of this kind has lengths of 32 bits, and a verifier must hold the rows.
    maxEventBytes: 2_000_000_000
  }
}

const document = (): BundleContainer => {
  const files = new Map<string, Uint8Array>()
  let ready: ReadonlyArray<Uint8Array> = []
  return {
    file: (name) => {
      const parts: Array<Uint8Array> = []
      return { push: (bytes) => void parts.push(bytes), end: () => void files.set(name, Buffer.concat(parts)) }
    },
    end: () => {
      ready = documentOf(files)
    },
    take: () => {
      const pieces = ready
      ready = []
      return pieces
    },
    maxEventBytes: maxDocumentEvents
  }
}
