import { Option, Result, Schema } from "effect"
import { Base64, Hex } from "effect/encoding"
import { canonicalize } from "./CanonicalJson.ts"
import { sameBytes } from "./Chain.ts"
import { type NoteCrypto, noteStatus, parseCheckpoint, parseCheckpointText, type SignBytes } from "./Checkpoint.ts"
import { type Frontier, isFrontier, rootOfFrontier, type Sha256 } from "./Merkle.ts"
import { formatNote, type InvalidNote, type NoteKey, noteKeyId, parseNote, parseVerifierKey } from "./SignedNote.ts"
import { type HeldCheckpoint, isAnswerable, type WitnessProblem } from "./WitnessVerdict.ts"

/** What a deployment tells a witness when somebody has answered for a restored backup: from here to there, who, when, why. */
export interface WitnessAdoption {
  readonly origin: string
  /** What the witness holds. It answers for this state alone, so an old statement is good for nothing. Root in hex. */
  readonly from: { readonly size: number; readonly root: string }
  readonly size: number
  readonly root: Uint8Array
  readonly by: string
  readonly reason: string
  readonly at: string
}

/** Its first line is no origin of a checkpoint and none of an adoption: none of the three can be taken for another. */
const suffix = "/witness-adoption"

export const signWitnessAdoption = (
  { at, by, from, origin, reason, root, size }: WitnessAdoption,
  key: NoteKey & { readonly sign: SignBytes },
  sha: Sha256
): Result.Result<string, InvalidNote> => {
  const facts = canonicalize({ at, by, from: { root: from.root, size: from.size }, reason })
  const text = `${origin}${suffix}\n${size}\n${Base64.encode(root)}\n${facts}\n`
  return formatNote(text, [
    { name: key.name, keyId: noteKeyId(key.name, key.publicKey, sha), signature: key.sign(utf8.encode(text)) }
  ])
}

/** The statement and its signatures, none of them checked. */
export const parseWitnessAdoption = (note: string) =>
  Option.flatMap(Result.getSuccess(parseNote(note)), (signed) => {
    const body = Result.getOrUndefined(parseCheckpointText(signed.text))
    const facts = Option.getOrUndefined(decodeFacts(signed.text.split("\n")[3]))
    return body === undefined || facts === undefined || !body.origin.endsWith(suffix)
      ? Option.none()
      : Option.some({ signed, ...facts, ...body, origin: body.origin.slice(0, -suffix.length) })
  })

/** A statement as it is shown to a witness, with what the log goes on from. */
export interface ShownAdoption {
  readonly statement: string
  /** The signed checkpoint that the log goes on from; null where it begins anew. */
  readonly checkpoint: string | null
  readonly peaks: ReadonlyArray<Uint8Array>
}

export type AdoptionVerdict =
  | { readonly _tag: "Adopted"; readonly adoption: WitnessAdoption; readonly frontier: Frontier }
  | { readonly _tag: "Stale"; readonly size: number }
  | { readonly _tag: "Refused"; readonly problem: WitnessProblem; readonly origin: string }

/**
 * Whether a statement moves what is held: signed by the key of the first checkpoint, about exactly the state that is held, and
 * leading to a state that this key signed too. Nobody without that key can do it, and nobody twice (P-04).
 */
export const judgeAdoption = (
  shown: ShownAdoption,
  adoption: Option.Option.Value<ReturnType<typeof parseWitnessAdoption>>,
  held: HeldCheckpoint,
  crypto: NoteCrypto
): AdoptionVerdict => {
  const { origin, root, signed, size } = adoption
  const refused = (problem: WitnessProblem): AdoptionVerdict => ({ _tag: "Refused", problem, origin })
  const key = Result.getOrUndefined(parseVerifierKey(held.verifierKey, crypto.sha))
  if (key === undefined || key.name !== origin) return refused("other_key")
  const status = noteStatus(signed, key, crypto)
  if (status !== "valid") return refused(status === "otherKey" ? "other_key" : "bad_signature")
  if (adoption.from.size !== held.size || adoption.from.root !== Hex.encode(held.root)) {
    return { _tag: "Stale", size: held.size }
  }
  const frontier: Frontier = { size, peaks: shown.peaks }
  if (!isFrontier(frontier) || !sameBytes(rootOfFrontier(frontier, crypto.sha), root)) {
    return refused("inconsistent")
  }
  if (size > 0) {
    const checkpoint = shown.checkpoint === null ? undefined : Result.getOrUndefined(parseCheckpoint(shown.checkpoint))
    if (checkpoint === undefined || noteStatus(checkpoint, key, crypto) !== "valid") return refused("bad_signature")
    const { body } = checkpoint
    if (body.origin !== origin || body.size !== size || !sameBytes(body.root, root)) {
      return refused("inconsistent")
    }
  }
  return { _tag: "Adopted", adoption, frontier }
}

/** The adoption that answers for an alarm: of the state that the refused note contradicts. */
export const answerTo = <
  A extends { readonly origin: string; readonly keptNote: string },
  B extends { readonly origin: string; readonly problem: string; readonly keptNote: string | null }
>(
  alarm: B,
  adoptions: ReadonlyArray<A>
): A | undefined =>
  isAnswerable(alarm.problem)
    ? adoptions.find(({ keptNote, origin }) => origin === alarm.origin && keptNote === alarm.keptNote)
    : undefined

const utf8 = new TextEncoder()

const decodeFacts = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      at: Schema.String.check(Schema.isMaxLength(64)),
      by: Schema.String.check(Schema.isMaxLength(512)),
      from: Schema.Struct({
        root: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u)),
        size: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
      }),
      reason: Schema.String.check(Schema.isMaxLength(4_000))
    })
  )
)
