/** What every `AuditStore` must answer to those who read it (A-23, AUD-10 to AUD-14). */
import { assert, type Vitest } from "@effect/vitest"
import { Clock, Effect, Stream } from "effect"
import { headOf } from "../schema/Chain.ts"
import { AgentId, type ChainId, sessionChain } from "../schema/Ids.ts"
import { AuditStore } from "../services/AuditStore.ts"
import type { ChainKeys } from "../services/ChainKeys.ts"
import type { StoreTransaction } from "../services/StoreTransaction.ts"
import { base, draftIn, intact, newSession, plainHead } from "./AuditChains.ts"

export const readTests = (it: Vitest.MethodsNonLive<AuditStore | ChainKeys | StoreTransaction>) => {
  it.effect("reads a range of rows, and none of a chain it has never seen", () =>
    Effect.gen(function* () {
      const store = yield* AuditStore
      const session = newSession()
      yield* Effect.forEach(
        Array.from({ length: 9 }, () => draftIn(session)),
        store.append
      )
      const seqs = (range?: { readonly fromSeq?: number; readonly toSeq?: number }) =>
        Effect.map(Stream.runCollect(store.rows(sessionChain(session), range)), (rows) => rows.map((row) => row.seq))
      assert.deepStrictEqual(yield* seqs({ fromSeq: 3, toSeq: 5 }), [3, 4, 5])
      assert.deepStrictEqual(yield* seqs({ fromSeq: 8 }), [8, 9])
      assert.deepStrictEqual(yield* seqs({ toSeq: 2 }), [1, 2])
      assert.deepStrictEqual(yield* seqs({ fromSeq: 10 }), [])
      assert.deepStrictEqual(yield* Stream.runCollect(store.rows(sessionChain(newSession()))), [])
    })
  )

  it.effect("lists the head of every chain, page by page, and an empty chain has the head of the beginning", () =>
    Effect.gen(function* () {
      const store = yield* AuditStore
      const sessions = Array.from({ length: 7 }, newSession)
      yield* Effect.forEach(sessions, (session) => store.append(draftIn(session)))
      const found: Array<ChainId> = []
      for (let after: ChainId | null = null; ; ) {
        const page: ReadonlyArray<{ readonly chain: ChainId }> = yield* store.heads(after, 3)
        found.push(...page.map((head) => head.chain))
        if (page.length < 3) break
        after = page[2]!.chain
      }
      assert.includeMembers(found, sessions.map(sessionChain))
      assert.strictEqual(new Set(found).size, found.length)
      const rows = yield* intact(sessionChain(sessions[0]!))
      assert.deepStrictEqual(plainHead(yield* store.head(sessionChain(sessions[0]!))), plainHead(headOf(rows[0]!)))
      assert.strictEqual((yield* store.head(sessionChain(newSession()))).seq, 0)
    })
  )

  it.effect("finds rows by agent, session, kind and time, newest first on request, at most as many as asked", () =>
    Effect.gen(function* () {
      const store = yield* AuditStore
      const session = newSession()
      const agent = AgentId.make(`agent ${newSession()}`)
      const kinds = ["a", "b", "a", "b", "a"]
      yield* Effect.forEach(kinds, (kind, i) => store.append(draftIn(session, { agent, kind, atMs: base + i })))
      const seqs = (query: Parameters<typeof store.find>[0]) =>
        Effect.map(store.find(query), (rows) => rows.map((row) => row.seq))
      assert.deepStrictEqual(yield* seqs({ agentId: agent }), [1, 2, 3, 4, 5])
      assert.deepStrictEqual(yield* seqs({ sessionId: session, kinds: ["a"] }), [1, 3, 5])
      assert.deepStrictEqual(yield* seqs({ chain: sessionChain(session), newestFirst: true, limit: 2 }), [5, 4])
      assert.deepStrictEqual(yield* seqs({ agentId: agent, fromMs: base + 1, toMs: base + 3 }), [2, 3, 4])
      assert.deepStrictEqual(yield* seqs({ agentId: AgentId.make("nobody") }), [])
      assert.deepStrictEqual(yield* seqs({ sessionId: session, kinds: [] }), [])
    })
  )

  it.effect("says which chains moved (A-23)", () =>
    Effect.gen(function* () {
      const store = yield* AuditStore
      const session = newSession()
      yield* store.append(draftIn(session))
      yield* store.append(draftIn(session))
      const moved = yield* store.movedSince(yield* Clock.currentTimeMillis)
      assert.deepStrictEqual(
        moved.filter(({ chain }) => chain === sessionChain(session)),
        [{ chain: sessionChain(session), seq: 2 }]
      )
    })
  )
}
