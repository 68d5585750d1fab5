/** The contract of `CheckpointStore` (BEY-04, A-32). */
import { createHash } from "node:crypto"
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { type CheckpointLeaf, leafHashOf } from "../schema/Checkpoint.ts"
import { SessionId, sessionChain } from "../schema/Ids.ts"
import { appendLeaves, emptyFrontier, rootOfFrontier, type Sha256 } from "../schema/Merkle.ts"
import { AuditStore } from "../services/AuditStore.ts"
import { CheckpointStore } from "../services/CheckpointStore.ts"
import { draftIn, newSession } from "./AuditChains.ts"

const sha: Sha256 = (bytes) => createHash("sha256").update(bytes).digest()

/** What may be committed after the latest checkpoint, for these leaves. */
const next = (leaves: ReadonlyArray<CheckpointLeaf>) =>
  Effect.gen(function* () {
    const store = yield* CheckpointStore
    const latest = yield* store.latest
    const from = latest === null ? emptyFrontier : { size: latest.size, peaks: latest.peaks }
    const frontier = appendLeaves(
      from,
      leaves.map((leaf) => leafHashOf(leaf, sha)),
      sha
    )
    return { previous: from.size, frontier, root: rootOfFrontier(frontier, sha), leaves }
  })

const hex = (bytes: Uint8Array | null | undefined) => (bytes == null ? null : Buffer.from(bytes).toString("hex"))

/** Registers the tests. `stores` MUST build log and checkpoints over one state; with a real database pass `clock: "database"`. */
export const suite = <E>(
  name: string,
  stores: Layer.Layer<AuditStore | CheckpointStore, E>,
  options: { readonly clock?: "test" | "database" } = {}
) =>
  layerTest(stores, { excludeTestServices: options.clock === "database", timeout: "60 seconds" })(
    `CheckpointStore (${name})`,
    (it) => {
      const append = (session: string, rows: number) =>
        Effect.gen(function* () {
          const audit = yield* AuditStore
          for (let row = 0; row < rows; row++) yield* audit.append(draftIn(SessionId.make(session)))
          return yield* audit.head(sessionChain(SessionId.make(session)))
        })

      const leafOf = (session: string) =>
        Effect.gen(function* () {
          const { hash, seq } = yield* append(session, 1)
          assert.isNotNull(hash)
          return { chain: sessionChain(SessionId.make(session)), seq, hash: hash! } satisfies CheckpointLeaf
        })

      it.effect("begins with nothing, and knows the deployment it belongs to", () =>
        Effect.gen(function* () {
          const store = yield* CheckpointStore
          assert.isNull(yield* store.latest)
          assert.deepStrictEqual(yield* store.checkpoints(0, 10), [])
          assert.deepStrictEqual(yield* store.leaves(0, 10), [])
          assert.match(yield* store.deploymentId, /^[0-9a-f-]{36}$/)
        })
      )

      it.effect("says which chains no leaf covers, and where they stand, by committed rows (A-32)", () =>
        Effect.gen(function* () {
          const store = yield* CheckpointStore
          const session = newSession()
          const chain = sessionChain(session)
          const head = yield* append(session, 3)
          const moved = (yield* store.moved(1_000, null)).find((one) => one.chain === chain)
          assert.deepInclude(moved, { chain, seq: 3, covered: null })
          assert.strictEqual(hex(moved?.hash), hex(head.hash))
          const first = yield* next([moved!])
          assert.isTrue(yield* store.commit(first))
          assert.isFalse((yield* store.moved(1_000, null)).some((one) => one.chain === chain))
          yield* append(session, 2)
          const again = (yield* store.moved(1_000, null)).find((one) => one.chain === chain)
          assert.strictEqual(again?.seq, 5)
          assert.deepInclude(again?.covered, { seq: 3, index: first.previous })
          assert.strictEqual(hex(again?.covered?.now), hex(head.hash))
        })
      )

      it.effect("gives leaves, roots, peaks and notes back as they were", () =>
        Effect.gen(function* () {
          const store = yield* CheckpointStore
          const leaves = yield* Effect.forEach(["é", '"{}"', "\\u0041\\", "a\u2028b</\u{1f600}", "\u200b/'%"], leafOf)
          const commit = yield* next(leaves)
          assert.isTrue(yield* store.commit(commit))
          const { size } = commit.frontier
          yield* store.note(size, "a note\n")
          yield* store.note(size, "a note\n")
          const latest = yield* store.latest
          assert.deepInclude(latest, { size, previous: commit.previous, notes: ["a note\n"] })
          assert.strictEqual(hex(latest?.root), hex(commit.root))
          assert.deepStrictEqual(latest?.peaks.map(hex), commit.frontier.peaks.map(hex))
          assert.deepStrictEqual(
            (yield* store.leaves(commit.previous, size)).map(({ chain, hash, seq }) => [chain, seq, hex(hash)]),
            leaves.map(({ chain, hash, seq }) => [chain, seq, hex(hash)])
          )
          const [only] = yield* store.checkpoints(commit.previous, 5)
          assert.strictEqual(only?.size, size)
        })
      )

      it.effect("lets one of many successors of a checkpoint win, and keeps nothing of the others (A-32)", () =>
        Effect.gen(function* () {
          const store = yield* CheckpointStore
          for (let round = 0; round < 5; round++) {
            const tries = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (count) =>
              Effect.flatMap(
                Effect.forEach(Array.from({ length: count }), (_, at) => leafOf(`race-${round}-${count}-${at}`)),
                next
              )
            )
            const won = yield* Effect.forEach(tries, store.commit, { concurrency: "unbounded" })
            assert.strictEqual(won.filter((one) => one).length, 1)
            const winner = tries[won.indexOf(true)]!
            const latest = yield* store.latest
            assert.strictEqual(hex(latest?.root), hex(winner.root))
            assert.strictEqual((yield* store.leaves(winner.previous, 1_000_000)).length, winner.leaves.length)
            for (const late of tries) assert.isFalse(yield* store.commit(late))
          }
        })
      )

      it.effect("takes no leaf that is no stored row after its chain's last leaf (A-32, INV-2)", () =>
        Effect.gen(function* () {
          const store = yield* CheckpointStore
          const [first, other] = [yield* leafOf("covered"), yield* leafOf("other")]
          assert.isTrue(yield* store.commit(yield* next([first])))
          const after = yield* leafOf("covered")
          const lies: ReadonlyArray<ReadonlyArray<CheckpointLeaf>> = [
            [],
            [{ ...other, chain: "agent:ci" }],
            [{ ...other, hash: new Uint8Array(32) }],
            [{ ...other, seq: 2 }],
            [other, { ...after, hash: other.hash }],
            [first],
            [after, after],
            [other, first]
          ]
          const before = yield* store.latest
          for (const leaves of lies) {
            const error = yield* Effect.flip(store.commit(yield* next(leaves)))
            assert.strictEqual(error.problem, "integrity")
          }
          assert.strictEqual((yield* store.latest)?.size, before?.size)
          assert.isTrue(yield* store.commit(yield* next([after, other])))
        })
      )

      it.effect("answers for positions in their order: the row, and where the chain ends", () =>
        Effect.gen(function* () {
          const store = yield* CheckpointStore
          const session = newSession()
          const chain = sessionChain(session)
          const head = yield* append(session, 2)
          const rows = yield* store.rowsAt([
            { chain, seq: 2 },
            { chain: sessionChain(newSession()), seq: 1 },
            { chain, seq: 9 }
          ])
          assert.deepStrictEqual(
            rows.map(({ hash, lastSeq }) => [hex(hash), lastSeq]),
            [
              [hex(head.hash), 2],
              [null, 0],
              [null, 2]
            ]
          )
          assert.deepStrictEqual(yield* store.rowsAt([]), [])
        })
      )

      it.effect("keeps adoptions once each", () =>
        Effect.gen(function* () {
          const store = yield* CheckpointStore
          const id = globalThis.crypto.randomUUID()
          yield* store.adopt(id, 1, "adopted\n")
          yield* store.adopt(id, 1, "something else\n")
          assert.deepStrictEqual(yield* store.adoptions, ["adopted\n"])
        })
      )
    }
  )
