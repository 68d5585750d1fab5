/** What retention MUST do over any set of stores (BEY-12, A-29, CMP-15). */
import { hash as digest } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, type Layer } from "effect"
import { archiveLine, archiveProblem } from "../schema/ArchiveText.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import { AgentId, operatorChain, SessionId, sessionChain } from "../schema/Ids.ts"
import { Audit } from "../services/Audit.ts"
import { LegalHolds } from "../services/LegalHolds.ts"
import { Retention } from "../services/Retention.ts"
import { RetentionStore } from "../services/RetentionStore.ts"
import { StoreTransaction } from "../services/StoreTransaction.ts"

export type Kept = Audit | LegalHolds | Retention | RetentionStore | StoreTransaction

/** Registers the tests; the stores MUST be on a connection that may prune. */
export const suite = <E>(name: string, stores: Layer.Layer<Kept, E>) =>
  layer(stores, { excludeTestServices: true, timeout: "60 seconds" })(`Retention (${name})`, (it) => {
    it.effect("prunes segment 1 of 3: the rest verifies, and the report says what is gone (A-29)", () =>
      Effect.gen(function* () {
        const { chain, cuts, session } = yield* threeGroups
        const archived: Array<ChainRow> = []
        const first = yield* pruneAt(cuts[0], chain, (rows) => Effect.sync(() => void archived.push(...rows)))
        assert.deepStrictEqual(
          first.pruned.map(({ fromSeq, rows, toSeq }) => ({ fromSeq, rows, toSeq })),
          [{ fromSeq: 1, rows: 3, toSeq: 3 }]
        )
        const lines = archived.map(archiveLine)
        const problem = (kept: ReadonlyArray<string>) => archiveProblem(kept, first.pruned[0]!, sha256)
        assert.isNull(problem(lines))
        assert.strictEqual(problem(lines.slice(1)), "row 1 is missing")
        assert.strictEqual(problem(lines.slice(0, 2)), "row 3 is missing")
        assert.strictEqual(problem([...lines.slice(0, 2), lines[2]!.replace("row 3", "row 4")]), "row 3 was changed")
        assert.strictEqual(problem(["{"]), "a line is no archived row")
        assert.deepInclude(yield* resultOf(chain), { rows: 6, lastSeq: 9, verdict: "ok" })
        assert.strictEqual((yield* resultOf(chain)).pruned?.toSeq, 3)
        const audit = yield* Audit
        assert.isTrue(yield* audit.verifyChain({ chain }))
        assert.isTrue(yield* audit.verifyChain({ chain, fromSeq: 2, toSeq: 6 }))
        assert.lengthOf(yield* audit.traceSessionChain(session), 6)
      })
    )

    it.effect("goes on to prune and to append, until nothing but the head is left, and after that (A-29)", () =>
      Effect.gen(function* () {
        const { chain, cuts, log } = yield* threeGroups
        yield* pruneAt(cuts[0], chain)
        yield* log("a tenth")
        yield* pruneAt(cuts[1], chain)
        assert.deepInclude(yield* resultOf(chain), { rows: 4, lastSeq: 10, verdict: "ok" })
        yield* Effect.sleep(5)
        yield* pruneAt(yield* Clock.currentTimeMillis, chain)
        const bare = yield* resultOf(chain)
        assert.deepInclude(bare, { rows: 0, verdict: "ok" })
        assert.strictEqual(bare.pruned?.toSeq, 10)
        const eleventh = yield* log("an eleventh")
        assert.strictEqual(eleventh.seq, 11)
        assert.deepInclude(yield* resultOf(chain), { rows: 1, lastSeq: 11, verdict: "ok" })
        assert.isTrue(yield* Audit.use((audit) => audit.verifyChain({ chain })))
      })
    )

    it.effect("a dry run says exactly what would go, and changes nothing", () =>
      Effect.gen(function* () {
        const { chain, cuts } = yield* threeGroups
        const retention = yield* Retention
        const planned = yield* at(cuts[1])(retention.plan({ olderThan: age, chain, allowShorter: true }))
        assert.deepStrictEqual(planned, { rows: [{ chain, fromSeq: 1, toSeq: 6 }], refused: [] })
        assert.deepInclude(yield* resultOf(chain), { rows: 9, lastSeq: 9 })
        assert.notProperty(yield* resultOf(chain), "pruned")
      })
    )

    it.effect("a run that is cut off between seal and deletion goes on with the same seal (F-15)", () =>
      Effect.gen(function* () {
        const { chain, cuts } = yield* threeGroups
        const cut = yield* Effect.exit(pruneAt(cuts[0], chain, () => Effect.fail("the disk is full" as const)))
        assert.isTrue(Exit.isFailure(cut))
        assert.deepInclude(yield* resultOf(chain), { rows: 9, verdict: "ok" })
        const seal = yield* RetentionStore.use((store) => store.unpruned(chain))
        const done = yield* pruneAt(cuts[1], chain)
        assert.deepStrictEqual(
          done.pruned.map(({ fromSeq, seal, toSeq }) => ({ fromSeq, seal, toSeq })),
          [
            { fromSeq: 1, seal: seal?.seal, toSeq: 3 },
            { fromSeq: 4, seal: done.pruned[1]?.seal, toSeq: 6 }
          ]
        )
        assert.deepInclude(yield* resultOf(chain), { rows: 3, verdict: "ok" })
      })
    )

    it.effect(
      "a deletion that fails, or that a hold set after the seal forbids, has deleted nothing (F-15, CMP-15)",
      () =>
        Effect.gen(function* () {
          const { chain, cuts } = yield* threeGroups
          yield* Effect.exit(pruneAt(cuts[0], chain, () => Effect.fail("cut off" as const)))
          const store = yield* RetentionStore
          const transaction = yield* StoreTransaction
          const seal = yield* store.unpruned(chain)
          const failed = yield* Effect.exit(
            transaction.run(Effect.andThen(store.prune(seal!, 1), Effect.fail("killed" as const)))
          )
          assert.isTrue(Exit.isFailure(failed))
          assert.deepInclude(yield* resultOf(chain), { rows: 9, verdict: "ok" })
          yield* LegalHolds.use((holds) => holds.set({ scope: "chain", name: chain, by: "ann", reason: "case" }))
          const held = yield* Effect.flip(transaction.run(Effect.flatMap(store.prune(seal!, 1), Effect.fail)))
          assert.deepStrictEqual(held, { _tag: "Held" })
          assert.deepStrictEqual(yield* store.unpruned(chain), seal)
        })
    )

    it.effect("loses nothing that is appended while it prunes (A-24)", () =>
      Effect.gen(function* () {
        const { chain, cuts, log } = yield* threeGroups
        const [, report] = yield* Effect.all(
          [
            Effect.forEach(
              Array.from({ length: 60 }, (_, n) => n),
              (n) => log(`beside ${n}`),
              { concurrency: 10 }
            ),
            pruneAt(cuts[1], chain),
            Effect.repeat(
              Audit.use((audit) => audit.verifyChain({ chain })),
              { times: 10 }
            )
          ],
          { concurrency: "unbounded" }
        )
        assert.strictEqual(report.pruned.at(-1)?.toSeq, 6)
        assert.deepInclude(yield* resultOf(chain), { rows: 63, lastSeq: 69, verdict: "ok" })
      })
    )

    it.effect("a legal hold on a chain, an agent or a session keeps the rows until it is released (A-29)", () =>
      Effect.gen(function* () {
        const holds = yield* LegalHolds
        for (const scope of ["chain", "agent", "session"] as const) {
          const { agent, chain, cuts, session } = yield* threeGroups
          const order = { scope, name: { chain, agent, session }[scope], by: "ann", reason: "case 4711" }
          assert.isTrue(yield* holds.set(order))
          assert.isFalse(yield* holds.set({ ...order, reason: "another" }))
          const stopped = yield* pruneAt(cuts[0], chain)
          assert.deepStrictEqual(
            stopped.refused.map(({ holds, problem }) => [problem, holds[0]?.scope, holds[0]?.reason]),
            [["held", scope, "case 4711"]]
          )
          assert.lengthOf(stopped.pruned, 0)
          assert.deepInclude(yield* resultOf(chain), { rows: 9 })
          assert.isTrue(yield* holds.release(order))
          assert.isFalse(yield* holds.release(order))
          assert.lengthOf((yield* pruneAt(cuts[0], chain)).pruned, 1)
        }
      })
    )

    it.effect("keeps chain operator, and refuses a time below the minimum unless that is allowed (CMP-15)", () =>
      Effect.gen(function* () {
        const retention = yield* Retention
        const wish = { chain: operatorChain, by: "ann" }
        const kept = yield* retention.prune({ ...wish, olderThan: Duration.days(400) })
        assert.deepStrictEqual(
          kept.refused.map(({ problem }) => problem),
          ["operatorChain"]
        )
        for (const olderThan of [Duration.days(182), Duration.zero, Duration.infinity, Duration.millis(-1)]) {
          const refused = yield* Effect.flip(retention.prune({ by: "ann", olderThan }))
          assert.strictEqual(refused._tag, "InvalidInput")
        }
        assert.strictEqual(
          (yield* Effect.flip(retention.prune({ by: "", olderThan: Duration.days(200) })))._tag,
          "InvalidInput"
        )
        assert.strictEqual(
          (yield* Effect.flip(retention.plan({ chain: "nothing:x", olderThan: Duration.days(200) })))._tag,
          "InvalidInput"
        )
      })
    )

    it.effect("what is sealed and was not pruned must still be there: a seal alone excuses nothing (A-29)", () =>
      Effect.gen(function* () {
        const { chain, cuts } = yield* threeGroups
        yield* Effect.exit(pruneAt(cuts[0], chain, () => Effect.fail("cut off" as const)))
        const rows = yield* Audit.use((audit) =>
          audit.getEvents({ chain: operatorChain, kinds: ["audit.segment_sealed"] })
        )
        assert.isTrue(rows.some(({ metadata }) => JSON.stringify(metadata).includes(chain)))
        const pruned = yield* Audit.use((audit) =>
          audit.getEvents({ chain: operatorChain, kinds: ["audit.segment_pruned"] })
        )
        assert.isFalse(pruned.some(({ metadata }) => JSON.stringify(metadata).includes(chain)))
      })
    )
  })

const age = Duration.millis(1)

const sha256 = {
  hash: (text: string) => digest("sha256", text, "buffer"),
  sha: (bytes: Uint8Array) => digest("sha256", bytes, "buffer")
}

/** As if it were a moment after the given one, for the decision what is old. */
const at =
  (cutMs: number) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.Clock, (real) =>
      Effect.provideService(
        self,
        Clock.Clock,
        Object.assign(Object.create(real), {
          currentTimeMillisUnsafe: () => cutMs + 1,
          currentTimeMillis: Effect.succeed(cutMs + 1)
        })
      )
    )

const pruneAt = <E = never>(
  cutMs: number,
  chain: string,
  archive?: (rows: ReadonlyArray<ChainRow>) => Effect.Effect<void, E>
) =>
  at(cutMs)(
    Retention.use((retention) => retention.prune({ olderThan: age, chain, by: "ann", allowShorter: true, archive }))
  )

const resultOf = (chain: string) =>
  Audit.use((audit) => Effect.map(audit.report({ chain }), (report) => report.chains[0]!))

/** Nine rows in three groups of three, and the moments that divide them. */
const threeGroups = Effect.gen(function* () {
  const audit = yield* Audit
  const session = SessionId.make(`session-${globalThis.crypto.randomUUID()}`)
  const agent = AgentId.make(`agent-${globalThis.crypto.randomUUID()}`)
  const log = (note: string) => audit.require({ kind: "step", agentId: agent, sessionId: session, metadata: { note } })
  const cuts: Array<number> = []
  for (const group of [1, 2, 3]) {
    for (const row of [1, 2, 3]) yield* log(`group ${group}, row ${row}`)
    yield* Effect.sleep(20)
    cuts.push(yield* Clock.currentTimeMillis)
    yield* Effect.sleep(20)
  }
  return { agent, session, chain: sessionChain(session), log, cuts: [cuts[0]!, cuts[1]!, cuts[2]!] as const }
})
