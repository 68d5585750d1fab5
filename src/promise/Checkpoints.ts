import type { CheckpointReport } from "../schema/CheckpointVerdict.ts"

/** Signed states of the log that have left the database. */
export interface Checkpoints {
  /** The public key of this process; null without one. */
  key(): Promise<{ readonly name: string; readonly publicKey: Uint8Array } | null>
  /** Covers every row that is committed now, signs, and hands over. Null when there is nothing at all. */
  make(): Promise<Checkpoint | null>
  latest(): Promise<Checkpoint | null>
  /** How far every sink and witness is, as it says itself. Never rejects for one that does not answer. */
  standings(): Promise<ReadonlyArray<SinkStanding>>
  /** Holds the log against its checkpoints. Never rejects for what it finds. */
  examine(): Promise<CheckpointReport>
  /** Keeps the latest checkpoint as the one that was seen here, for the next time. */
  remember(key?: { readonly name: string; readonly publicKey: Uint8Array }): Promise<void>
  /** Answers for a restored backup. */
  adopt(input: { readonly by: string; readonly reason: string }): Promise<{
    readonly adoption: Adoption
    readonly checkpoint: Checkpoint | null
  }>
}

export interface SinkStanding {
  readonly sink: string
  readonly isWitness: boolean
  /** Null: nothing is there yet, or it could not be asked. */
  readonly size: number | null
  /** What a witness has refused, and nobody has answered for. */
  readonly alarm: string | null
  /** Why it could not be asked. */
  readonly error: string | null
}

export interface Checkpoint {
  readonly size: number
  /** The size it was made after; 0 for the first. */
  readonly previous: number
  readonly root: Uint8Array
  readonly peaks: ReadonlyArray<Uint8Array>
  readonly notes: ReadonlyArray<string>
  readonly ageMs: number
}

export interface Adoption {
  readonly origin: string
  readonly size: number
  readonly by: string
  readonly reason: string
  readonly at: string
  readonly lost: ReadonlyArray<{ readonly chain: string; readonly after: number }>
  /** What witnesses had then, root in hex. */
  readonly witnessed?: ReadonlyArray<{ readonly size: number; readonly root: string }>
}
