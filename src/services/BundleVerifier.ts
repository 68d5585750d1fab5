import { Result } from "effect"
import { checkBundle } from "../schema/BundleCheck.ts"
import type { BundleRefused } from "../schema/BundleError.ts"
import type { BundleVerdict } from "../schema/BundleVerdict.ts"
import type { NoteKey } from "../schema/SignedNote.ts"
import { sha256, verifyEd25519 } from "./CheckpointKey.ts"
import { readZip } from "./ZipReader.ts"

/** What can be said of an archive: no database, no secret. A foreign or damaged one is refused before anything of it is read. */
export const verifyBundle = (archive: Uint8Array, key: NoteKey | null): Result.Result<BundleVerdict, BundleRefused> =>
  Result.map(readZip(archive), (files) => checkBundle(files, key, { sha: sha256, verify: verifyEd25519 }))
