import { Effect } from "effect"
import type { ChainHead } from "../schema/Envelope.ts"
import type { ChainId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { AuditStore, ChainPosition } from "./AuditStore.ts"

/** The head of every chain, in order of chain, read page by page. */
export const allHeads = Effect.fnUntraced(function* (
  store: AuditStore["Service"]
): Effect.fn.Return<ReadonlyArray<ChainPosition & ChainHead>, StoreError> {
  const heads: Array<ChainPosition & ChainHead> = []
  let after: ChainId | null = null
  for (;;) {
    const page: ReadonlyArray<ChainPosition & ChainHead> = yield* store.heads(after, pageSize)
    heads.push(...page)
    if (page.length < pageSize) return heads
    after = page[page.length - 1]!.chain
  }
})

/** Every chain that has a head or rows: a chain whose head was deleted is found by its rows. */
export const everyChain = Effect.fnUntraced(function* (
  store: AuditStore["Service"]
): Effect.fn.Return<ReadonlySet<ChainId>, StoreError> {
  const moved = yield* store.movedSince(0)
  const heads = yield* allHeads(store)
  return new Set([...moved, ...heads].map(({ chain }) => chain))
})

const pageSize = 1_000
