import { Effect, Layer } from "effect"
import type { WorkflowPlace } from "../../schema/Workspace.ts"
import { type IngestRow, IngestStore, type IngestVerdict, type TimelineRow } from "../../services/IngestStore.ts"
import { WorkspaceStore } from "../../services/WorkspaceStore.ts"

interface Kept {
  readonly rows: Array<TimelineRow>
  readonly digests: Map<string, string>
  readonly expected: Map<string, number>
  readonly conflicts: Map<string, { event: string; keptDigest: string; otherDigest: string; seenMs: number }>
}

/** Copies of events that are gone with the process. */
export const make = Effect.gen(function* () {
  const workspaces = yield* WorkspaceStore
  const workflows = new Map<string, Kept>()
  const keptOf = ({ workflow, workspace }: WorkflowPlace): Kept => {
    const key = `${workspace} ${workflow}`
    const known = workflows.get(key)
    if (known !== undefined) return known
    const fresh: Kept = { rows: [], digests: new Map(), expected: new Map(), conflicts: new Map() }
    workflows.set(key, fresh)
    return fresh
  }

  const take = (kept: Kept, instance: string, events: ReadonlyArray<IngestRow>, nowMs: number): IngestVerdict => {
    const before = kept.expected.get(instance) ?? 1
    const fresh = new Map<string, TimelineRow & { readonly digest: string }>()
    let expected = before
    for (const [index, row] of events.entries()) {
      const known = kept.digests.get(row.event) ?? fresh.get(row.event)?.digest
      if (known !== undefined && known !== row.digest) {
        if (!fresh.has(row.event)) conflict(kept, row, known, nowMs)
        return { _tag: "Conflict", index, expected: before }
      }
      if (known === undefined && row.seq !== expected) return { _tag: "OutOfOrder", index, expected: before }
      if (row.seq === expected) expected++
      const position = kept.rows.length + fresh.size + 1
      if (known === undefined) fresh.set(row.event, { ...row, position, instance, receivedMs: nowMs })
    }
    kept.expected.set(instance, expected)
    for (const { digest, ...row } of fresh.values()) {
      kept.digests.set(row.event, digest)
      kept.rows.push(row)
    }
    return { _tag: "Taken", stored: fresh.size, duplicates: events.length - fresh.size, expected }
  }

  return IngestStore.of({
    append: (place, instance, events, nowMs) =>
      Effect.map(workspaces.workflow(place), (workflow) =>
        workflow === null ? { _tag: "NoWorkflow" } : take(keptOf(place), instance, events, nowMs)
      ),
    timeline: (place, { after, agent, before, eventType, limit, session }) =>
      Effect.sync(() => {
        const wanted = keptOf(place).rows.filter(
          (row) =>
            (before === null || row.position < before) &&
            (after === null || row.position > after) &&
            (agent === null || row.agent === agent) &&
            (session === null || row.session === session) &&
            (eventType === null || row.eventType === eventType)
        )
        return (after === null ? wanted.slice(-limit) : wanted.slice(0, limit)).reverse()
      }),
    conflicts: (place, limit) =>
      Effect.sync(() =>
        [...keptOf(place).conflicts.values()].sort((left, right) => right.seenMs - left.seenMs).slice(0, limit)
      )
  })
})

export const layer = Layer.effect(IngestStore, make)

const conflict = (kept: Kept, { digest, event }: IngestRow, keptDigest: string, seenMs: number) => {
  const key = `${event} ${digest}`
  if (!kept.conflicts.has(key)) kept.conflicts.set(key, { event, keptDigest, otherDigest: digest, seenMs })
}
