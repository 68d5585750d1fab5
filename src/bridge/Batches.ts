import { Effect } from "effect"
import type { AuditRecord } from "../schema/AuditRecord.ts"
import { standard } from "../schema/Redaction.ts"
import { type Copied, copyOf } from "./Copy.ts"

/** Something that stands for an event, with the copy that may leave. */
export interface Outgoing<A> {
  readonly item: A
  readonly copy: Copied
}

/** Copies, redacted one after the other with room for others in between, in requests that are not too large. */
export const batched = Effect.fnUntraced(function* <A>(items: ReadonlyArray<A>, recordOf: (item: A) => AuditRecord) {
  const batches: Array<Array<Outgoing<A>>> = []
  let length = 0
  for (const item of items) {
    const copy = copyOf(recordOf(item), standard)
    const own = JSON.stringify(copy).length
    const last = batches.at(-1)
    if (last === undefined || length + own > maxRequestLength) {
      batches.push([{ item, copy }])
      length = own
    } else {
      last.push({ item, copy })
      length += own
    }
    if (own > 2048) yield* Effect.yieldNow
  }
  return batches
})

const maxRequestLength = 512 * 1024
