import { Effect } from "effect"
import type { AuditDraft, ChainRow } from "../../schema/Envelope.ts"
import type { ChainId } from "../../schema/Ids.ts"
import { StoreError, type StoreProblem } from "../../schema/StoreError.ts"
import type { AppendResult } from "../../services/AuditStore.ts"

/** An event on its way into its chain. */
export interface AuditJob {
  readonly draft: AuditDraft
  readonly resume: (result: Effect.Effect<AppendResult, StoreError>) => void
  readonly sinceMs: number
  /** The last row that was sent for it; a later attempt seals a new one. */
  row: ChainRow | undefined
  /** Hashes that were sent without an answer: a row with one of them is this event, stored by us. */
  sent: Array<Uint8Array>
  /** True once the id may be in the chain already: every later attempt looks first. */
  unsure: boolean
  tries: number
}

export const refuse = (job: AuditJob, problem: StoreProblem) =>
  job.resume(Effect.fail(new StoreError({ store: "AuditStore", operation: "append", problem })))

export const byChain = (jobs: ReadonlyArray<AuditJob>): ReadonlyMap<ChainId, ReadonlyArray<AuditJob>> => {
  const groups = new Map<ChainId, Array<AuditJob>>()
  for (const job of jobs) {
    const group = groups.get(job.draft.chain)
    if (group === undefined) groups.set(job.draft.chain, [job])
    else group.push(job)
  }
  return groups
}
