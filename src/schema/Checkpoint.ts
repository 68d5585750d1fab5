import { Result } from "effect"
import { Base64, Hex } from "effect/encoding"
import { canonicalize } from "./CanonicalJson.ts"
import { sameBytes } from "./Chain.ts"
import { leafHash, type Sha256 } from "./Merkle.ts"
import { formatNote, InvalidNote, type NoteKey, noteKeyId, parseNote } from "./SignedNote.ts"

/** What one leaf of the tree says: row `seq` of `chain` has this hash (BEY-04). */
export interface CheckpointLeaf {
  readonly chain: string
  readonly seq: number
  readonly hash: Uint8Array
}

/** The state of the tree that a note signs: C2SP tlog-checkpoint. */
export interface CheckpointBody {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/** Signs bytes with the checkpoint key, and checks such a signature. Synchronous, Ed25519. */
export type SignBytes = (bytes: Uint8Array) => Uint8Array
export type VerifyBytes = (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => boolean

/** The name of a deployment's log, and of the key that signs it. */
export const originOf = (deployment: string): string => `effect-governance/${deployment}`

/** RFC 8785 text of a leaf: `{"chain":"...","hash":"<hex>","seq":n}`. */
export const leafText = ({ chain, seq, hash }: CheckpointLeaf): string =>
  canonicalize({ chain, hash: Hex.encode(hash), seq })

export const leafHashOf = (leaf: CheckpointLeaf, sha: Sha256): Uint8Array => leafHash(utf8.encode(leafText(leaf)), sha)

/** Three lines: origin, size, root in Base64. */
export const checkpointText = ({ origin, size, root }: CheckpointBody): string =>
  `${origin}\n${size}\n${Base64.encode(root)}\n`

/** Extension lines are allowed and not read. */
export const parseCheckpointText = (text: string): Result.Result<CheckpointBody, InvalidNote> => {
  const [origin, size, encoded] = text.split("\n")
  if (origin === undefined || origin === "" || size === undefined || encoded === undefined) {
    return fail("a checkpoint has three lines: origin, size, root")
  }
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size)))
    return fail("the size is no number")
  const root = Result.getOrUndefined(Base64.decode(encoded))
  if (root === undefined || root.length !== 32 || Base64.encode(root) !== encoded) return fail("the root is no SHA-256")
  return Result.succeed({ origin, size: Number(size), root })
}

/** The note of a state: the same state and key give the same bytes, because Ed25519 has no randomness. */
export const signCheckpoint = (
  body: CheckpointBody,
  key: NoteKey & { readonly sign: SignBytes },
  sha: Sha256
): Result.Result<string, InvalidNote> => {
  const text = checkpointText(body)
  return formatNote(text, [
    { name: key.name, keyId: noteKeyId(key.name, key.publicKey, sha), signature: key.sign(utf8.encode(text)) }
  ])
}

/** What notes are checked with: SHA-256, and Ed25519 that answers false for whatever is no signature. */
export interface NoteCrypto {
  readonly sha: Sha256
  readonly verify: VerifyBytes
}

export type NoteStatus = "valid" | "badSignature" | "otherKey"

/** Whether this key signed the note: `otherKey` when no line names it. */
export const noteStatus = (
  note: {
    readonly text: string
    readonly signatures: ReadonlyArray<{
      readonly name: string
      readonly keyId: Uint8Array
      readonly signature: Uint8Array
    }>
  },
  key: NoteKey,
  crypto: NoteCrypto
): NoteStatus => {
  const keyId = noteKeyId(key.name, key.publicKey, crypto.sha)
  const own = note.signatures.filter((line) => line.name === key.name && sameBytes(line.keyId, keyId))
  if (own.length === 0) return "otherKey"
  const bytes = utf8.encode(note.text)
  return own.every((line) => crypto.verify(key.publicKey, bytes, line.signature)) ? "valid" : "badSignature"
}

/** A note's text, read as a checkpoint; no signature is checked. */
export const parseCheckpoint = (note: string) =>
  Result.flatMap(parseNote(note), (signed) =>
    Result.map(parseCheckpointText(signed.text), (body) => ({ ...signed, body }))
  )

const fail = (problem: string) => Result.fail(new InvalidNote({ problem }))

const utf8 = new TextEncoder()
