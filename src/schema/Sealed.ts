import { JsonPointer, Option, Schema } from "effect"
import { Base64Url } from "effect/encoding"
import { canonicalize } from "./CanonicalJson.ts"
import { escape, type SealMark, unescape, unsealable } from "./Escape.ts"
import type { EventId } from "./Ids.ts"
import type { JsonValue, MarkedJson } from "./Json.ts"
import { Marked } from "./Marked.ts"
import { domainLabels } from "./Subkeys.ts"

/**
 * A value that only its subject's key opens (BEY-12). Version 1 is AES-256-GCM: 12 bytes of nonce, the 16-byte tag last in
 * `ct`, additional data from `sealedAad`, and the canonical UTF-8 of the escaped value as plaintext.
 */
export const SealedValue = Schema.Struct({
  $sealed: Schema.Struct({
    v: Schema.Literal(1),
    /** Random: it names a row of the key table and says nothing about the subject. */
    key: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{1,64}$/)),
    nonce: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{16}$/)),
    /** At least one byte and the tag. */
    ct: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{23,}$/))
  })
})
export type SealedValue = typeof SealedValue.Type

/** Stands where no key was at hand when the event was written; nobody can ever open it. */
export const UnsealableValue = Schema.Struct({ $unsealable: Schema.Literal(true) })
export type UnsealableValue = typeof UnsealableValue.Type

/** The AEAD, synchronous; the answer ends with the tag. */
export type Seal = (key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array, nonce: Uint8Array) => Uint8Array
/** Undefined when the ciphertext, its place or its key is not the one that was sealed. */
export type Unseal = (
  key: Uint8Array,
  ciphertext: Uint8Array,
  aad: Uint8Array,
  nonce: Uint8Array
) => Uint8Array | undefined

export interface SubjectKey {
  readonly id: string
  readonly key: Uint8Array
}

/** What `escape` does with marked values. Each value is sealed once: keep the text for retries. */
export const sealMarks =
  (options: {
    readonly event: EventId
    /** Undefined when there is no key at hand: then the value is lost, never plain. */
    readonly keyOf: (subject: string) => SubjectKey | undefined
    readonly seal: Seal
    /** 12 bytes that MUST NOT come twice for two different values: random, or a keyed hash of place and value. */
    readonly nonce: (key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array) => Uint8Array
  }): SealMark =>
  (marked, pointer) => {
    const key = options.keyOf(Marked.subject(marked))
    if (key === undefined) return unsealable
    const plaintext = sealedPlaintext(marked)
    const aad = sealedAad(options.event, pointer)
    const nonce = options.nonce(key.key, plaintext, aad)
    const ct = options.seal(key.key, plaintext, aad, nonce)
    return { $sealed: { v: 1, key: key.id, nonce: Base64Url.encode(nonce), ct: Base64Url.encode(ct) } }
  }

/** None when the key is wrong, or the value was changed or moved to another event or place. */
export const openSealed = (
  value: SealedValue,
  at: { readonly event: EventId; readonly pointer: string },
  key: Uint8Array,
  unseal: Unseal
): Option.Option<JsonValue> =>
  Option.gen(function* () {
    const ciphertext = yield* Option.getSuccess(Base64Url.decode(value.$sealed.ct))
    const nonce = yield* Option.getSuccess(Base64Url.decode(value.$sealed.nonce))
    const plaintext = yield* Option.fromUndefinedOr(unseal(key, ciphertext, sealedAad(at.event, at.pointer), nonce))
    return unescape(yield* decodePlaintext(new TextDecoder().decode(plaintext)))
  })

/** The bytes that are sealed, and that a hash of a marked input is made of (HMAC under the subject's key). */
export const sealedPlaintext = (marked: Marked<JsonValue>): Uint8Array =>
  utf8.encode(canonicalize(escape(Marked.reveal(marked))))

/** Binds a sealed value to its event and to its RFC 6901 place in the stored metadata. */
export const sealedAad = (event: EventId, pointer: string): Uint8Array =>
  utf8.encode(domainLabels.sealedValue + canonicalize([event, pointer]))

/** The subjects whose keys are needed before `escape` can seal, each once. */
export const markedSubjects = (tree: MarkedJson): ReadonlySet<string> => {
  const subjects = new Set<string>()
  const visit = (value: MarkedJson): void => {
    if (value instanceof Marked) subjects.add(Marked.subject(value))
    else if (typeof value === "object" && value !== null) for (const member of Object.values(value)) visit(member)
  }
  visit(tree)
  return subjects
}

/** The sealed and the unsealable values of stored metadata, with their places. */
export const findSealed = (
  stored: JsonValue
): ReadonlyArray<{ readonly pointer: string; readonly value: SealedValue | UnsealableValue }> => {
  const found: Array<{ readonly pointer: string; readonly value: SealedValue | UnsealableValue }> = []
  const open: Array<readonly [pointer: string, value: JsonValue]> = [["", stored]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [pointer, value] = next
    if (isSealed(value) || isUnsealable(value)) found.push({ pointer, value })
    else if (typeof value === "object" && value !== null) {
      for (const [key, member] of Object.entries(value).reverse()) {
        open.push([`${pointer}/${JsonPointer.escapeToken(key)}`, member])
      }
    }
  }
  return found
}

// Exact: `escape` writes nothing beside these keys, and a caller's own `$sealed` is stored as `$$sealed`.
const exact = { onExcessProperty: "error" } as const
const isSealedShape = Schema.decodeUnknownOption(SealedValue, exact)
const isUnsealableShape = Schema.decodeUnknownOption(UnsealableValue, exact)

/** In the stored form only: what `unescape` gave back may hold a caller's own `$sealed`. */
export const isSealed = (stored: unknown): stored is SealedValue => Option.isSome(isSealedShape(stored))
export const isUnsealable = (stored: unknown): stored is UnsealableValue => Option.isSome(isUnsealableShape(stored))

const decodePlaintext = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))

const utf8 = new TextEncoder()
