import { Option, Result } from "effect"
import { Hex } from "effect/encoding"
import { leafHashOf, type NoteCrypto, noteStatus, parseCheckpoint } from "./Checkpoint.ts"
import { type Adoption, type LogEntry, parseAdoption } from "./CheckpointEntry.ts"
import { appendLeaves, emptyFrontier, type Frontier, rootOfFrontier } from "./Merkle.ts"
import { type NoteKey, parseNote } from "./SignedNote.ts"

/** What a log is read with. Without a key nothing is known of who signed it. */
export interface NoteReader extends NoteCrypto {
  readonly key: NoteKey | null
}

export type LogProblem = "unreadable" | "gap" | "root" | "badSignature"

/** What reading a log from its beginning has shown so far. */
export interface LogState {
  readonly frontier: Frontier
  /** The largest size with a note that this key signed, or that nobody could judge. */
  readonly signedSize: number
  readonly lastNote: string | null
  /** The origin of the last note that could be read. */
  readonly origin: string | null
  /** The largest size that another key signed. */
  readonly foreignSize: number
  /** Another key signed what no adoption covers; known once the log was read to its end. */
  readonly otherKey: boolean
  /** The first fault; after it the log is not believed any further. */
  readonly problem: { readonly kind: LogProblem; readonly size: number } | null
  /** A line that could not be read: forgiven if what it held comes again. */
  readonly unread: boolean
  readonly adoptions: ReadonlyArray<Adoption>
}

export const emptyLog: LogState = {
  frontier: emptyFrontier,
  signedSize: 0,
  lastNote: null,
  origin: null,
  foreignSize: 0,
  otherKey: false,
  problem: null,
  unread: false,
  adoptions: []
}

/** The next entry of a log. `roots` is given the root of every size that was reached. */
export const step = (state: LogState, entry: LogEntry, reader: NoteReader, roots: Map<number, string>): LogState => {
  if (state.problem !== null) return state
  const { size } = state.frontier
  const broken = (kind: LogProblem, at: number): LogState => ({ ...state, problem: { kind, size: at } })
  if (entry._tag === "Unreadable") return { ...state, unread: true }
  if (entry._tag === "Adoption") return withAdoption(state, entry.note, reader)

  const end = entry.previous + entry.leaves.length
  if (entry.leaves.length === 0) return broken("gap", end)
  // Two writers may hand over the same checkpoint: the same twice says nothing new.
  if (end <= size) return roots.get(end) === rootIn(entry.notes) ? state : broken("root", end)
  if (entry.previous !== size) return broken(state.unread ? "unreadable" : "gap", end)

  const frontier = appendLeaves(
    state.frontier,
    entry.leaves.map((leaf) => leafHashOf(leaf, reader.sha)),
    reader.sha
  )
  const root = Hex.encode(rootOfFrontier(frontier, reader.sha))
  const notes = entry.notes.map((note) => judge(note, root, end, reader))
  const best =
    notes.find(({ status }) => status === "valid") ?? notes.find(({ status }) => status === "otherKey") ?? notes[0]
  if (best !== undefined && (best.status === "root" || best.status === "badSignature")) return broken(best.status, end)
  roots.set(end, root)
  const signed = best?.status === "valid"
  return {
    ...state,
    frontier,
    unread: false,
    signedSize: signed ? end : state.signedSize,
    lastNote: best?.note ?? state.lastNote,
    origin: best?.origin ?? state.origin,
    foreignSize: best?.status === "otherKey" ? end : state.foreignSize
  }
}

/** After the last entry: what was left open is decided. A line that could not be read and did not come again is a fault. */
export const finish = (state: LogState): LogState => ({
  ...state,
  otherKey: state.foreignSize > Math.max(0, ...state.adoptions.map(({ size }) => size)),
  problem: state.problem === null && state.unread ? { kind: "unreadable", size: state.frontier.size } : state.problem
})

const judge = (note: string, root: string, size: number, reader: NoteReader) => {
  const parsed = Result.getOrUndefined(parseCheckpoint(note))
  if (parsed === undefined) return { note, origin: null, status: "badSignature" as const }
  const { origin } = parsed.body
  if (parsed.body.size !== size || Hex.encode(parsed.body.root) !== root) {
    return { note, origin, status: "root" as const }
  }
  return { note, origin, status: reader.key === null ? ("valid" as const) : noteStatus(parsed, reader.key, reader) }
}

const rootIn = (notes: ReadonlyArray<string>): string | undefined =>
  notes
    .flatMap((note) => Option.toArray(Result.getSuccess(parseCheckpoint(note))))
    .map(({ body }) => Hex.encode(body.root))[0]

/** Only what the checkpoint key signed excuses anything. */
const withAdoption = (state: LogState, note: string, reader: NoteReader): LogState => {
  const adoption = Option.getOrUndefined(parseAdoption(note))
  const signed = Result.getOrUndefined(parseNote(note))
  if (adoption === undefined || signed === undefined || reader.key === null) return state
  if (adoption.origin !== reader.key.name || noteStatus(signed, reader.key, reader) !== "valid") return state
  const { text: _, ...facts } = adoption
  return { ...state, adoptions: [...state.adoptions, facts] }
}
