import { Option, Result, Schema } from "effect"
import { Base64, Hex } from "effect/encoding"
import { canonicalize } from "./CanonicalJson.ts"
import type { CheckpointLeaf } from "./Checkpoint.ts"
import { hexBytes } from "./HexBytes.ts"
import { parseNote } from "./SignedNote.ts"

/** One step of a log of checkpoints, wherever it is kept: what a sink is given, and what readers of any log are fed. */
export type LogEntry =
  | {
      readonly _tag: "Checkpoint"
      readonly previous: number
      /** In a sink exactly one; in the database none before it is signed. */
      readonly notes: ReadonlyArray<string>
      readonly leaves: ReadonlyArray<CheckpointLeaf>
    }
  | { readonly _tag: "Adoption"; readonly note: string }
  | { readonly _tag: "Unreadable" }

/** A restored backup that somebody answered for: what was lost in which chain, and up to which size that is excused. */
export interface Adoption {
  readonly origin: string
  readonly size: number
  readonly by: string
  readonly reason: string
  readonly at: string
  /** Rows of `chain` after `after` that leaves below `size` speak of. */
  readonly lost: ReadonlyArray<{ readonly chain: string; readonly after: number }>
  /** What witnesses had then, root in hex: what this answers for towards them, and towards no later state. */
  readonly witnessed?: ReadonlyArray<{ readonly size: number; readonly root: string }>
}

/** The adoption that answers for this very state of a witness, root in hex; the latest of them. */
export const answers = (
  adoptions: ReadonlyArray<Adoption>,
  state: { readonly size: number; readonly root: string }
): Adoption | undefined =>
  adoptions.findLast(({ witnessed }) => witnessed?.some(({ root, size }) => size === state.size && root === state.root))

/** The text that is signed. Its first line is no origin of a checkpoint, so that neither can be taken for the other. */
export const adoptionText = ({ at, by, lost, origin, reason, size, witnessed }: Adoption, root: Uint8Array): string =>
  `${origin}/adoption\n${size}\n${Base64.encode(root)}\n${canonicalize({
    at,
    by,
    lost: lost.map(({ after, chain }) => ({ after, chain })),
    reason,
    ...(witnessed === undefined ? {} : { witnessed: witnessed.map(({ root, size }) => ({ root, size })) })
  })}\n`

/** Reads the text of an adoption; the signature is judged by who calls this. */
export const parseAdoption = (note: string): Option.Option<Adoption & { readonly text: string }> =>
  Option.flatMap(Result.getSuccess(parseNote(note)), ({ text }) => {
    const [first, size, , body] = text.split("\n")
    if (first === undefined || !first.endsWith("/adoption") || !/^\d{1,15}$/.test(size ?? "")) return Option.none()
    return Option.map(decodeAdoption(body), (facts) => ({
      ...facts,
      text,
      origin: first.slice(0, -"/adoption".length),
      size: Number(size)
    }))
  })

/** One line of a sink file, with its line break: canonical JSON. */
export const formatEntry = (entry: LogEntry): string =>
  entry._tag === "Checkpoint"
    ? `${canonicalize({
        leaves: entry.leaves.map(({ chain, hash, seq }) => [chain, seq, Hex.encode(hash)]),
        note: entry.notes[0] ?? "",
        previous: entry.previous
      })}\n`
    : entry._tag === "Adoption"
      ? `${canonicalize({ adoption: entry.note })}\n`
      : ""

/** Whatever is no entry is unreadable: what that means depends on what follows it. */
export const parseEntry = (line: string): LogEntry =>
  Option.match(decodeLine(line), {
    onNone: (): LogEntry => ({ _tag: "Unreadable" }),
    onSome: (found): LogEntry =>
      "adoption" in found
        ? { _tag: "Adoption", note: found.adoption }
        : {
            _tag: "Checkpoint",
            previous: found.previous,
            notes: [found.note],
            leaves: found.leaves.map(([chain, seq, hash]) => ({
              chain,
              seq,
              hash: hexBytes(hash)
            }))
          }
  })

const Seq = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

const decodeLine = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Union([
      Schema.Struct({
        leaves: Schema.Array(
          Schema.Tuple([Schema.String, Seq, Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))])
        ),
        note: Schema.String,
        previous: Seq
      }),
      Schema.Struct({ adoption: Schema.String })
    ])
  )
)

const decodeAdoption = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      at: Schema.String,
      by: Schema.String,
      lost: Schema.Array(Schema.Struct({ after: Seq, chain: Schema.String })),
      reason: Schema.String,
      witnessed: Schema.optionalKey(Schema.Array(Schema.Struct({ root: Schema.String, size: Seq })))
    })
  )
)
