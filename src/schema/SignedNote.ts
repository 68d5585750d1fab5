import { Result, Schema } from "effect"
import { Base64, Hex } from "effect/encoding"
import type { Sha256 } from "./Merkle.ts"

/** One line of a note: who signed, the 4 bytes that say with which key, and the signature. */
export interface NoteSignature {
  readonly name: string
  readonly keyId: Uint8Array
  readonly signature: Uint8Array
}

/** Text that ends with a line break, and who signed it: C2SP signed-note. */
export interface SignedNote {
  readonly text: string
  readonly signatures: ReadonlyArray<NoteSignature>
}

/** What a stranger needs to check a note: the key's name and its 32 bytes (Ed25519). */
export interface NoteKey {
  readonly name: string
  readonly publicKey: Uint8Array
}

/** A text that is no note, no verifier key or no checkpoint. Names the fault, never the text. */
export class InvalidNote extends Schema.TaggedError<InvalidNote>()("InvalidNote", { problem: Schema.String }) {
  override get message() {
    return `This is no signed note: ${this.problem}`
  }
  get recoveryHint() {
    return "Give the text exactly as `governance checkpoint` printed it or as the sink file holds it."
  }
}

/** The most bytes a note may have, as others that read notes bound it. */
export const maxNoteSize = 1_000_000
const maxSignatures = 100
const ed25519 = 1

/** The first 4 bytes of SHA-256(name, line break, 0x01, public key). */
export const noteKeyId = (name: string, publicKey: Uint8Array, sha: Sha256): Uint8Array =>
  sha(concat(utf8.encode(`${name}\n`), Uint8Array.of(ed25519), publicKey)).slice(0, 4)

/** Fails for a text that could be read as something else: no last line break, control characters, an impossible name. */
export const formatNote = (
  text: string,
  signatures: ReadonlyArray<NoteSignature>
): Result.Result<string, InvalidNote> => {
  const problem = textProblem(text) ?? (signatures.every(isSignature) ? undefined : "a signature line is impossible")
  if (problem !== undefined) return Result.fail(new InvalidNote({ problem }))
  const lines = signatures.map(
    ({ name, keyId, signature }) => `\u2014 ${name} ${Base64.encode(concat(keyId, signature))}\n`
  )
  return Result.succeed(`${text}\n${lines.join("")}`)
}

/** The text and its signatures, none of them checked. */
export const parseNote = (note: string): Result.Result<SignedNote, InvalidNote> => {
  if (note.length > maxNoteSize) return fail(`it has more than ${maxNoteSize} characters`)
  const split = note.lastIndexOf("\n\n")
  if (split < 0) return fail("no empty line stands before the signatures")
  const text = note.slice(0, split + 1)
  const problem = textProblem(text)
  if (problem !== undefined) return fail(problem)
  const rest = note.slice(split + 2)
  if (!rest.endsWith("\n")) return fail("it has no complete signature line")
  const lines = rest.slice(0, -1).split("\n")
  if (lines.length > maxSignatures) return fail(`it has more than ${maxSignatures} signatures`)
  const signatures: Array<NoteSignature> = []
  for (const line of lines) {
    const signature = parseLine(line)
    if (signature === undefined) return fail("a signature line cannot be read")
    signatures.push(signature)
  }
  return Result.succeed({ text, signatures })
}

/** `name+hash+base64`, as other tools that verify notes take it. */
export const formatVerifierKey = ({ name, publicKey }: NoteKey, sha: Sha256): string =>
  `${name}+${Hex.encode(noteKeyId(name, publicKey, sha))}+${Base64.encode(concat(Uint8Array.of(ed25519), publicKey))}`

export const parseVerifierKey = (text: string, sha: Sha256): Result.Result<NoteKey, InvalidNote> => {
  const [, name, id, encoded] = /^([^+\s]{1,512})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/u.exec(text) ?? []
  if (name === undefined || id === undefined || encoded === undefined) {
    return fail("a verifier key has the form name+hash+base64")
  }
  const bytes = Result.getOrUndefined(Base64.decode(encoded))
  if (bytes === undefined || bytes.length !== 33 || bytes[0] !== ed25519) return fail("the key is no Ed25519 key")
  const key = { name, publicKey: bytes.slice(1) }
  return Hex.encode(noteKeyId(name, key.publicKey, sha)) === id
    ? Result.succeed(key)
    : fail("the hash is not that of this name and key")
}

const fail = (problem: string) => Result.fail(new InvalidNote({ problem }))

const parseLine = (line: string): NoteSignature | undefined => {
  const [, name, encoded] = /^\u2014 (\S{1,512}) ([A-Za-z0-9+/=]{8,1000})$/u.exec(line) ?? []
  if (name === undefined || encoded === undefined) return undefined
  const bytes = Result.getOrUndefined(Base64.decode(encoded))
  // What decodes leniently could be written in two ways, and a signed text MUST have one.
  if (bytes === undefined || bytes.length < 5 || Base64.encode(bytes) !== encoded) return undefined
  const signature = { name, keyId: bytes.slice(0, 4), signature: bytes.slice(4) }
  return isSignature(signature) ? signature : undefined
}

const isSignature = ({ name, keyId, signature }: NoteSignature) =>
  /^[^\s+\p{Cc}\p{Cs}]{1,512}$/u.test(name) && keyId.length === 4 && signature.length > 0

const textProblem = (text: string): string | undefined => {
  if (!text.endsWith("\n") || text === "\n") return "the text does not end with a line break"
  if (!text.isWellFormed()) return "the text is not well-formed Unicode"
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/[\u0000-\u0009\u000b-\u001f]/.test(text)) return "the text has control characters"
  return undefined
}

const utf8 = new TextEncoder()

const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
