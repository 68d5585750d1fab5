import { Result } from "effect"
// The stand-alone verifier knows nothing of ours, types included.
// @ts-expect-error
import * as standAlone from "../../examples/verify-bundle.mjs"
import { formatVerifierKey, type NoteKey } from "../../src/schema/SignedNote.ts"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import * as Trees from "./Trees.ts"

/** What both verifiers say of an archive: ours, and the one that shares no code with it. */
export const verdicts = (
  archive: Uint8Array,
  key: NoteKey | null = Trees.key
): readonly [ours: string, other: string] => {
  const ours = Result.match(verifyBundle(archive, key), {
    onFailure: () => "tampered",
    onSuccess: ({ verdict }) => verdict as string
  })
  const given = key === null ? undefined : standAlone.keyOf(formatVerifierKey(key, sha256))
  return [ours, standAlone.verifyBundle(Buffer.from(archive), given).verdict]
}
