import { Result } from "effect"
import type { BundleForm } from "../schema/Bundle.ts"
import { checkBundle } from "../schema/BundleCheck.ts"
import { filesOf } from "../schema/BundleDocument.ts"
import type { BundleRefused } from "../schema/BundleError.ts"
import type { BundleVerdict } from "../schema/BundleVerdict.ts"
import type { NoteKey } from "../schema/SignedNote.ts"
import { noteCrypto } from "./CheckpointKey.ts"
import { readZip } from "./ZipReader.ts"

/** What can be said of a bundle, archive or JSON: no database, no secret (V8-08). A foreign or damaged file is refused before anything of it is read. */
export const verifyBundle = (bytes: Uint8Array, key: NoteKey | null): Result.Result<BundleVerdict, BundleRefused> => {
  const form: BundleForm = bytes[0] === openingBrace ? "json" : "zip"
  return Result.map(form === "json" ? filesOf(bytes) : readZip(bytes), (files) =>
    checkBundle(files, form, key, noteCrypto)
  )
}

const openingBrace = 0x7b
