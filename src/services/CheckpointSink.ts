import { Context, Effect, Stream } from "effect"
import type { LogEntry } from "../schema/CheckpointEntry.ts"
import type { CheckpointSinkError } from "../schema/CheckpointError.ts"

/** How far a sink has got, as it stands there: nothing of it is checked. */
export interface SinkHead {
  readonly size: number
  /** The last note; null when the sink is empty. */
  readonly note: string | null
  readonly adoptions: ReadonlyArray<string>
  /** Unreadable lines that nothing has made good. */
  readonly damaged: boolean
}

interface Place {
  readonly name: string
  /** Null when the sink does not exist yet. */
  readonly head: Effect.Effect<SinkHead | null, CheckpointSinkError>
  /** Adds at the end, durably, all or nothing. MUST keep what is there whatever runs beside it; the same entry twice is allowed. */
  readonly append: (entries: ReadonlyArray<LogEntry>) => Effect.Effect<void, CheckpointSinkError>
}

/** A place outside the database that keeps checkpoints with their leaves, so that it proves something without the database. */
export interface CheckpointLog extends Place {
  /** Everything in order, a torn last line left out. Empty when the sink does not exist. */
  readonly read: Stream.Stream<LogEntry, CheckpointSinkError>
}

/** What a witness is told when somebody has answered for a restored backup. */
export interface Answered {
  /** Signed with the checkpoint key: from what the witness has to where the log goes on. */
  readonly statement: string
  /** The note of that size; null where the log begins anew. */
  readonly checkpoint: string | null
  readonly peaks: ReadonlyArray<Uint8Array>
}

/** How a witness and this deployment stand to each other. */
export interface WitnessStanding {
  readonly head: SinkHead | null
  /** What it has refused, and nobody has answered for. */
  readonly alarm: { readonly problem: string; readonly seenMs: number } | null
}

/** Somebody else, who keeps the last checkpoint alone: gives nothing back, and refuses what does not continue that (P-04). */
export interface CheckpointWitness extends Place {
  readonly standing: Effect.Effect<WitnessStanding, CheckpointSinkError>
  /** The first thing that it sees of a log: it is believed, so what lies before proves nothing. Peaks of the tree go with it. */
  readonly begin: (note: string, peaks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, CheckpointSinkError>
  /** Shows a checkpoint that contradicts what it has, so that people see the alarm there too. */
  readonly report: (note: string, head: SinkHead) => Effect.Effect<void, CheckpointSinkError>
  /** Lets it go on from another state. */
  readonly answer: (answered: Answered) => Effect.Effect<void, CheckpointSinkError>
}

export type CheckpointSink = CheckpointLog | CheckpointWitness

export const isWitness = (sink: CheckpointSink): sink is CheckpointWitness => "standing" in sink

/** Where this process hands its checkpoints to. Give your own by providing this reference. */
export const CheckpointSinks = Context.Reference<ReadonlyArray<CheckpointSink>>(
  "effect-governance/services/CheckpointSinks",
  { defaultValue: () => [] }
)

/** The head that follows when these entries are added to one: what sinks without a better way compute it with. */
export const advance = (head: SinkHead, entry: LogEntry): SinkHead => {
  if (entry._tag === "Unreadable") return { ...head, damaged: true }
  if (entry._tag === "Adoption") return { ...head, adoptions: [...head.adoptions, entry.note] }
  const size = entry.previous + entry.leaves.length
  return entry.previous === head.size && entry.leaves.length > 0
    ? { ...head, size, note: entry.notes[0] ?? null, damaged: false }
    : { ...head, damaged: head.damaged || size > head.size }
}

export const emptyHead: SinkHead = { size: 0, note: null, adoptions: [], damaged: false }

/** A sink in this process's memory, for tests and for programs that forward it themselves. */
export const makeMemory = (name = "memory"): CheckpointLog & { readonly entries: Array<LogEntry> } => {
  const entries: Array<LogEntry> = []
  return {
    name,
    entries,
    head: Effect.sync(() => (entries.length === 0 ? null : entries.reduce(advance, emptyHead))),
    append: (more) => Effect.sync(() => void entries.push(...more)),
    read: Stream.suspend(() => Stream.fromIterable([...entries]))
  }
}
