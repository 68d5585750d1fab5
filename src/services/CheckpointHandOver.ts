import { Effect } from "effect"
import type { LogEntry } from "../schema/CheckpointEntry.ts"
import type { CheckpointSinkError } from "../schema/CheckpointError.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { CheckpointLog } from "./CheckpointSink.ts"
import type { CheckpointStore } from "./CheckpointStore.ts"

/** Everything that a sink has not got, from its own last size on (BEY-04): a crash in between is caught up here. */
export const handOver = Effect.fnUntraced(function* (
  store: CheckpointStore["Service"],
  sink: CheckpointLog,
  isOwn: (note: string) => boolean
): Effect.fn.Return<void, StoreError | CheckpointSinkError> {
  for (;;) {
    const head = yield* sink.head
    const known = new Set(head?.adoptions ?? [])
    const adopted = (yield* store.adoptions).filter((note) => !known.has(note) && isOwn(note))
    const page = yield* store.checkpoints(head?.size ?? 0, 50)
    const entries: Array<LogEntry> = adopted.map((note) => ({ _tag: "Adoption", note }))
    for (const { notes, previous, size } of page) {
      const note = notes.find(isOwn) ?? notes[0]
      if (note === undefined) break
      entries.push({ _tag: "Checkpoint", previous, notes: [note], leaves: yield* store.leaves(previous, size) })
    }
    if (entries.length === 0) return
    yield* sink.append(entries)
  }
})
