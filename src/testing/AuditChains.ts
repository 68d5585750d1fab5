/** Drafts with fresh ids, and chains that are checked as they are read: what the suite of `AuditStore` works with. */
import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { checkRow, headOf } from "../schema/Chain.ts"
import type { AuditDraft, ChainRow } from "../schema/Envelope.ts"
import { AgentId, type ChainId, EventId, SessionId, sessionChain } from "../schema/Ids.ts"
import { AuditStore } from "../services/AuditStore.ts"
import { ChainKeys } from "../services/ChainKeys.ts"

export const base = 1_790_000_000_000

export const newId = () => EventId.make(crypto.randomUUID())
export const newSession = () => SessionId.make(crypto.randomUUID())

/** A draft with a fresh id in the session's chain. */
export const draftIn = (session: SessionId, more: Partial<AuditDraft> = {}): AuditDraft => ({
  chain: sessionChain(session),
  id: newId(),
  atMs: base,
  agent: AgentId.make("agent-1"),
  session,
  parent: null,
  kind: "tool.call",
  model: null,
  inputHash: null,
  outputHash: null,
  metadataText: '{"note":"ü"}',
  ...more
})

/** The rows of a chain, after every one has been checked against its predecessor and the last against the head. */
export const intact = Effect.fnUntraced(function* (chain: ChainId) {
  const store = yield* AuditStore
  const { hash, macFor } = yield* ChainKeys
  const rows = yield* Stream.runCollect(store.rows(chain))
  let previous: ChainRow | null = null
  for (const row of rows) {
    assert.deepStrictEqual(checkRow(row, previous, { hash, macFor }), [])
    previous = row
  }
  assert.deepStrictEqual(
    plainHead(yield* store.head(chain)),
    plainHead(previous === null ? { seq: 0, hash: null, atMs: 0 } : headOf(previous))
  )
  return rows
})

export const plainHead = (head: { readonly seq: number; readonly hash: Uint8Array | null; readonly atMs: number }) => ({
  seq: head.seq,
  hash: head.hash === null ? null : [...head.hash],
  atMs: head.atMs
})
