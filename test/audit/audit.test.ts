import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { decodeEvent } from "../../src/schema/AuditIntake.ts"
import { AuditRecord } from "../../src/schema/AuditRecord.ts"
import { isTampering } from "../../src/schema/ChainReport.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import {
  AgentId,
  agentChain,
  type ChainId,
  KeyId,
  operatorChain,
  SessionId,
  sessionChain
} from "../../src/schema/Ids.ts"
import { sealed } from "../../src/schema/Marked.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { StoreTransaction } from "../../src/services/StoreTransaction.ts"
import { anyJson, random } from "../schema/JsonArbitrary.ts"
import { json, names, naughtyStrings, present, text } from "../schema/Vectors.ts"
import { readingTampered, rig } from "./Rig.ts"

const event = { kind: "tool.call", agentId: "agent-1", sessionId: "s" }
const logTen = Effect.forEach(
  Array.from({ length: 10 }, (_, i) => i),
  (i) => Effect.flatMap(Audit, (audit) => audit.log({ ...event, metadata: { i } }))
)
const rowsOf = (chain: ChainId) => Effect.flatMap(AuditStore, (store) => Stream.runCollect(store.rows(chain)))
const flipped = (seq: number) => (row: ChainRow) =>
  row.seq === seq ? { ...row, canonical: row.canonical.replace('"i":', '"j":') } : row

describe("Audit.log", () => {
  it.effect("returns the record as it is stored, and its place in the chain (AUD-01, AUD-03, AUD-05)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const first = yield* audit.log({
        ...event,
        model: "gpt-4o",
        inputHash: "aa",
        outputHash: "bb",
        metadata: { a: [1] }
      })
      const second = yield* audit.log({ ...event, parentEventId: first.id })
      assert.strictEqual(first.status, "stored")
      assert.isFalse(first.isPlaceholder)
      assert.deepStrictEqual([first.seq, second.seq], [1, 2])
      assert.strictEqual(second.prevHash, first.hash)
      assert.strictEqual(second.parentEventId, first.id)
      assert.deepStrictEqual(
        [first.model, first.inputHash, first.outputHash, first.metadata],
        ["gpt-4o", "aa", "bb", { a: [1] }]
      )
      assert.deepStrictEqual(yield* audit.getEvents({}), [first, second])
      assert.isTrue(Schema.is(AuditRecord)(first))
      assert.deepStrictEqual(Schema.decodeUnknownSync(AuditRecord)(JSON.parse(JSON.stringify(first))), first)
    }).pipe(Effect.provide(rig()))
  )

  it.effect("puts an event into its session's chain, else into its agent's (DEC-05, OQ-19)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      assert.strictEqual(
        (yield* audit.log({ kind: "k", agentId: "a", sessionId: "s" })).chain,
        sessionChain(SessionId.make("s"))
      )
      assert.strictEqual((yield* audit.log({ kind: "k", agentId: "b", sessionId: "s" })).seq, 2)
      assert.strictEqual((yield* audit.log({ kind: "k", agentId: "a" })).chain, agentChain(AgentId.make("a")))
    }).pipe(Effect.provide(rig()))
  )

  it.effect(
    "strips control characters and terminal escapes from names, and keeps metadata exactly (AUD-07, DEC-17)",
    () =>
      Effect.gen(function* () {
        const audit = yield* Audit
        const record = yield* audit.log({
          ...event,
          kind: "\u001b[31mred\u0000",
          model: "e\u0301",
          metadata: { a: "\u001b[31m\u0000" }
        })
        assert.deepStrictEqual([record.kind, record.model], ["red", "\u00e9"])
        assert.deepStrictEqual(record.metadata, { a: "\u001b[31m\u0000" })
      }).pipe(Effect.provide(rig()))
  )

  it.effect("gives back every hostile string and any JSON unchanged, and the chain verifies (A-12, A-13, A-15)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const next = random(20)
      const proto: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')
      const values: ReadonlyArray<unknown> = [
        ...naughtyStrings(),
        ...Array.from({ length: 300 }, () => anyJson(next, 5)),
        proto,
        { $delayed: "2020", $utf16: "0000", $$: 1, $sealed: {}, $unsealable: true }
      ]
      for (const value of values) {
        const metadata = Object.fromEntries([
          ["value", value],
          [`key ${typeof value === "string" ? value : ""}`, 1]
        ])
        const logged = yield* audit.log({ ...event, metadata })
        const [read] = yield* audit.getEvents({ newestFirst: true, limit: 1, chain: logged.chain })
        assert.deepStrictEqual<unknown>(logged.metadata, metadata)
        assert.deepStrictEqual(read, logged)
        assert.isNull(read?.delayedSince)
      }
      assert.isUndefined(({} as { polluted?: unknown }).polluted)
      assert.isTrue(yield* audit.verifyChain())
    }).pipe(Effect.provide(rig()))
  )

  it.effect.skipIf(!present)("takes every valid document of JSONTestSuite through the log and back (A-12)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      let taken = 0
      for (const name of names("json-test-suite/test_parsing").filter((_) => /^[yi]_.*\.json$/.test(_))) {
        const parsed = Result.try(() => json(`json-test-suite/test_parsing/${name}`))
        if (Result.isFailure(parsed)) continue
        const exit = yield* Effect.exit(audit.log({ ...event, metadata: { value: parsed.success } }))
        if (Exit.isFailure(exit)) {
          // Numbers that JavaScript cannot hold, and a document beyond the depth, are refused by rule.
          assert.match(name, /number|structure_500/)
          continue
        }
        taken++
        assert.deepStrictEqual(
          exit.value.metadata,
          JSON.parse(JSON.stringify({ value: parsed.success }).replace(/-0(?=[,}\]])/g, "0")),
          text(`json-test-suite/test_parsing/${name}`)
        )
      }
      assert.isAbove(taken, 90)
      assert.isTrue(yield* audit.verifyChain())
    }).pipe(Effect.provide(rig()))
  )

  it.effect(
    "refuses what cannot be an event, names the field and never the value, and leaves a row that says so (AUD-06, DEC-06, R-13)",
    () =>
      Effect.gen(function* () {
        const audit = yield* Audit
        const secret = "correct-horse"
        const cyclic: Record<string, unknown> = { secret }
        cyclic.self = cyclic
        const big = { secret, text: "x".repeat(70_000) }
        const cases: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
          ["agentId", { agentId: secret.repeat(100) }],
          ["agentId", { agentId: 7 }],
          ["kind", { kind: "" }],
          ["sessionId", { sessionId: secret.repeat(100) }],
          ["id", { id: secret }],
          ["parentEventId", { parentEventId: secret }],
          ["model", { model: secret.repeat(20) }],
          ["inputHash", { inputHash: secret.repeat(20) }],
          ["metadata/text", { metadata: big }],
          ["metadata", { metadata: [secret] }],
          ["metadata/self", { metadata: cyclic }],
          ["metadata/a", { metadata: { a: new Map([[secret, secret]]) } }],
          ["metadata/a", { metadata: { a: Number.NaN } }],
          ["metadata/a", { metadata: { a: 1n } }]
        ]
        for (const [field, wrong] of cases) {
          const error = yield* Effect.flip(audit.log({ ...event, ...wrong }))
          assert.strictEqual(error._tag, "InvalidAuditEvent")
          assert.strictEqual(error.field, field)
          assert.notInclude(error.message, secret)
        }
        const rows = yield* audit.getEvents({ kinds: ["audit.event_refused"] })
        assert.strictEqual(rows.length, cases.length)
        assert.notInclude(JSON.stringify(rows), secret)
        assert.strictEqual((yield* audit.stats).refused, cases.length)
        const oversize = rows.find((row) => JSON.stringify(row.metadata).includes('"bytes":70'))
        assert.strictEqual(oversize?.chain, sessionChain(SessionId.make("s")))
        assert.match(JSON.stringify(oversize?.metadata), /"sha256":"[0-9a-f]{64}"/)
        assert.strictEqual(rows.filter((row) => row.chain === operatorChain).length, 2)
      }).pipe(Effect.provide(rig()))
  )

  it.effect("takes metadata of exactly 64 KiB and refuses one byte more (AUD-06)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const fits = { a: "x".repeat(65_536 - '{"a":""}'.length) }
      assert.strictEqual((yield* audit.log({ ...event, metadata: fits })).status, "stored")
      const error = yield* Effect.flip(audit.log({ ...event, metadata: { a: `${fits.a}x` } }))
      assert.strictEqual(error.field, "metadata/a")
    }).pipe(Effect.provide(rig()))
  )

  it("reads each getter of an event once, and survives one that throws (A-14)", () => {
    let reads = 0
    const foreign = {
      ...event,
      get metadata() {
        reads++
        return { a: reads }
      }
    }
    assert.strictEqual(Result.getOrThrow(decodeEvent(foreign)).metadataText, '{"a":1}')
    assert.strictEqual(reads, 1)
    const hostile = new Proxy(event, {
      get: () => {
        throw new Error("no")
      }
    })
    assert.isTrue(Result.isFailure(decodeEvent(hostile)))
  })

  it.effect(
    "stores a value that is marked with a subject unreadable, never plain, while no key is at hand (BEY-12, design 4)",
    () =>
      Effect.gen(function* () {
        const audit = yield* Audit
        const record = yield* audit.log({
          ...event,
          metadata: { patient: sealed("jane", { name: "Jane Roe" }), open: 1 }
        })
        const [row] = yield* rowsOf(record.chain)
        assert.include(row?.canonical, '"metadata":{"open":1,"patient":{"$unsealable":true}}')
        assert.notInclude(row?.canonical, "Jane")
      }).pipe(Effect.provide(rig()))
  )

  it.effect(
    "an id makes it idempotent; the same id for another event is refused by log and is a conflict for require (DEC-05)",
    () =>
      Effect.gen(function* () {
        const audit = yield* Audit
        const mine = { ...event, id: "00000000-0000-4000-8000-000000000001", metadata: { a: 1 } }
        const first = yield* audit.log(mine)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* audit.log(mine), first)
        assert.deepStrictEqual(yield* audit.require(mine), first)
        assert.strictEqual((yield* Effect.flip(audit.log({ ...mine, metadata: { a: 2 } }))).field, "id")
        const conflict = yield* Effect.flip(audit.require({ ...mine, kind: "other" }))
        assert.strictEqual(conflict._tag, "EventIdConflict")
        const rows = yield* rowsOf(first.chain)
        assert.deepStrictEqual(
          rows.map((row) => row.kind),
          ["tool.call", "audit.event_refused"]
        )
      }).pipe(Effect.provide(rig()))
  )

  it.effect("takes so many events a second from an agent, and states how many it did not take (V8-12)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const exits = yield* Effect.forEach(Array.from({ length: 25 }), () => Effect.exit(audit.log(event)))
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 10)
      assert.strictEqual((yield* audit.log({ ...event, agentId: "agent-2" })).status, "stored")
      assert.strictEqual((yield* audit.require(event)).status, "stored")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* audit.log(event)).status, "stored")
      const limited = yield* audit.getEvents({ kinds: ["audit.rate_limited"] })
      assert.deepStrictEqual(
        limited.map((row) => [row.agentId, row.metadata]),
        [["agent-1", { count: 15, perSecond: 10 }]]
      )
    }).pipe(Effect.provide(rig({ maxEventsPerSecond: 10 })))
  )

  it.effect("calls every subscriber after the append, and forgets what one of them throws (AUD-15)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const seen: Array<number> = []
      const lines: Array<unknown> = []
      const logger = Logger.make((entry) => void lines.push(entry.message))
      yield* Effect.gen(function* () {
        yield* audit.subscribe(() => Effect.die(new Error("bug")))
        yield* audit.subscribe(() => Effect.fail("no"))
        yield* audit.subscribe((record) => Effect.sync(() => void seen.push(record.seq)))
        yield* audit.log(event)
        yield* audit.note(event)
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
      yield* audit.log(event)
      assert.deepStrictEqual(seen, [1, 2])
      assert.strictEqual(lines.length, 4)
    }).pipe(Effect.provide(rig()))
  )

  it.effect("writes inside a transaction only what it commits (V8-04, design 3.7)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const transaction = yield* StoreTransaction
      yield* transaction.run(audit.requireInTransaction(event))
      yield* Effect.exit(transaction.run(Effect.andThen(audit.requireInTransaction(event), Effect.fail("no"))))
      assert.strictEqual((yield* audit.getEvents({})).length, 1)
    }).pipe(Effect.provide(rig()))
  )
})

describe("Audit.track", () => {
  it.effect("logs start and end with the hashes of input and output, linked, and changes nothing (AUD-09)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const tracked = audit.track("job", "agent-1", { sessionId: "s", input: { b: 1, a: 2 } })
      assert.deepStrictEqual(yield* tracked(Effect.succeed({ ok: true })), { ok: true })
      assert.strictEqual(yield* Effect.flip(tracked(Effect.fail("broken"))), "broken")
      const [start, end, again, error] = yield* audit.getEvents({})
      assert.deepStrictEqual(
        [start?.kind, end?.kind, again?.kind, error?.kind],
        ["job.start", "job.end", "job.start", "job.error"]
      )
      assert.strictEqual(end?.parentEventId, start?.id)
      assert.strictEqual(error?.parentEventId, again?.id)
      assert.match(`${start?.inputHash} ${end?.outputHash}`, /^[0-9a-f]{64} [0-9a-f]{64}$/)
      assert.strictEqual(start?.inputHash, again?.inputHash)
    }).pipe(Effect.provide(rig()))
  )
})

describe("verification", () => {
  it.effect("is true for an honest chain, whole or in part, and never false (AUD-12)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      yield* logTen
      assert.isTrue(yield* audit.verifyChain())
      assert.isTrue(yield* audit.verifyChain({ sessionId: "s", fromSeq: 3, toSeq: 7 }))
      assert.isTrue(yield* audit.verifyChain({ chain: "session:s" }))
      assert.strictEqual((yield* audit.traceSessionChain("s")).length, 10)
    }).pipe(Effect.provide(rig()))
  )

  it.effect("fails at the first bad row, with chain and number (AUD-10, AUD-12, ERR-08)", () =>
    Effect.gen(function* () {
      yield* logTen
      yield* Effect.gen(function* () {
        const audit = yield* Audit
        for (const read of [
          Effect.asVoid(audit.verifyChain()),
          Effect.asVoid(audit.traceSessionChain("s")),
          Effect.asVoid(audit.verifyChain({ sessionId: "s", toSeq: 5 }))
        ]) {
          const error = yield* Effect.flip(read)
          assert.strictEqual(error._tag, "ChainIntegrityError")
          assert.deepInclude(error, { chain: "session:s", seq: 4 })
          assert.isNotEmpty(error.message + error.recoveryHint)
        }
        assert.isTrue(yield* audit.verifyChain({ sessionId: "s", toSeq: 3 }))
        assert.isTrue(yield* audit.verifyChain({ sessionId: "s", fromSeq: 6 }))
        // A range is bound to the row before it.
        assert.strictEqual(
          (yield* Effect.flip(audit.verifyChain({ sessionId: "s", fromSeq: 5 })))._tag,
          "ChainIntegrityError"
        )
      }).pipe(readingTampered({ row: flipped(4) }))
    }).pipe(Effect.provide(rig()))
  )

  it.effect("of a range finds what is wrong inside and at both edges, and says nothing of the rest (A-25)", () =>
    Effect.gen(function* () {
      yield* logTen
      const range = { sessionId: "s", fromSeq: 4, toSeq: 7 }
      const found = (row: (one: ChainRow) => ChainRow | null) =>
        Effect.flatMap(Audit, (audit) => audit.verifyChain(range)).pipe(
          Effect.match({ onFailure: () => false, onSuccess: () => true }),
          readingTampered({ row })
        )
      const holds: Array<number> = []
      for (let seq = 1; seq <= 10; seq++) if (yield* found(flipped(seq))) holds.push(seq)
      // The row before a range is checked with it: what the range stands on is never taken on trust.
      assert.deepStrictEqual(holds, [1, 2, 8, 9, 10])
      const kept: Array<string> = []
      for (let from = 1; from <= 10; from++) {
        for (let to = from; to <= 10; to++) {
          const isLeft = yield* found((one) => (one.seq >= from && one.seq <= to ? null : one))
          if (isLeft !== (to < 3 || from > 7)) kept.push(`${from} to ${to}`)
        }
      }
      assert.deepStrictEqual(kept, [], "rows that were taken away")
      const audit = yield* Audit
      for (const beyond of [{ fromSeq: 11 }, { fromSeq: 20, toSeq: 30 }, { fromSeq: 10, toSeq: 99 }]) {
        assert.isTrue(yield* audit.verifyChain({ sessionId: "s", ...beyond }), JSON.stringify(beyond))
      }
    }).pipe(Effect.provide(rig()))
  )

  it.effect("names of the keys that are not here a thousand, however many there are (ROT-05, K-06)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      for (let n = 0; n < 1_100; n++) yield* audit.log({ ...event, sessionId: "s" })
      const report = yield* Effect.flatMap(Audit, (its) => its.report()).pipe(
        readingTampered({ row: (one) => ({ ...one, keyId: KeyId.make(`${one.seq}`.padStart(32, "0")) }) })
      )
      assert.strictEqual(report.chains[0]?.unjudged, 1_100)
      assert.strictEqual(report.unresolvedKeyIds.length, 1_000)
    }).pipe(Effect.provide(rig()))
  )

  it.effect("getEvents does not verify unless it is told to (AUD-14)", () =>
    Effect.gen(function* () {
      yield* logTen
      const read = Effect.flatMap(Audit, (audit) => audit.getEvents({ limit: 2 }))
      assert.strictEqual((yield* read.pipe(readingTampered({ row: flipped(4) }))).length, 2)
      const error = yield* Effect.flip(read.pipe(readingTampered({ row: flipped(4) }, { verifyChainOnRead: true })))
      assert.strictEqual(error._tag, "ChainIntegrityError")
    }).pipe(Effect.provide(rig()))
  )

  it.effect("a row whose text is ruined is shown by its columns, and says so (design 4)", () =>
    Effect.gen(function* () {
      yield* logTen
      const rows = yield* Effect.flatMap(Audit, (audit) => audit.getEvents({ limit: 1 })).pipe(
        readingTampered({ row: (row) => ({ ...row, canonical: "no json" }) })
      )
      assert.deepStrictEqual(
        rows.map((row) => [row.kind, row.metadata]),
        [["tool.call", { $unreadable: true }]]
      )
    }).pipe(Effect.provide(rig()))
  )

  it.effect("trace walks from an event to its root, verifying each row, and stops at a circle (AUD-11)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const root = yield* audit.log({ ...event, sessionId: "other" })
      const middle = yield* audit.log({ ...event, parentEventId: root.id, metadata: { i: 1 } })
      const leaf = yield* audit.log({ ...event, parentEventId: middle.id })
      assert.deepStrictEqual(
        (yield* audit.trace(leaf.id)).map((record) => record.id),
        [leaf.id, middle.id, root.id]
      )
      assert.deepStrictEqual(yield* audit.trace("no id"), [])
      const self = "00000000-0000-4000-8000-000000000002"
      yield* audit.log({ ...event, id: self, parentEventId: self })
      assert.strictEqual((yield* audit.trace(self)).length, 1)
      const error = yield* Effect.flip(
        Effect.flatMap(Audit, (tampered) => tampered.trace(leaf.id)).pipe(readingTampered({ row: flipped(1) }))
      )
      assert.deepInclude(error, { chain: "session:s", seq: 1 })
    }).pipe(Effect.provide(rig()))
  )

  it.effect("the report lists every break of every chain, not only the first (A-01, BEY-04)", () =>
    Effect.gen(function* () {
      yield* logTen
      yield* Effect.flatMap(Audit, (audit) => audit.log({ ...event, sessionId: "clean" }))
      const row = (one: ChainRow) => (one.seq === 6 ? null : flipped(2)(flipped(9)(one)))
      const report = yield* Effect.flatMap(Audit, (audit) => audit.report()).pipe(readingTampered({ row }))
      assert.deepStrictEqual(
        report.breaks.map((found) => [found.seq, found.problem]),
        [
          [2, "hash"],
          [2, "hmac"],
          [7, "gap"],
          [7, "link"],
          [9, "hash"],
          [9, "hmac"]
        ]
      )
      assert.isTrue(report.breaks.every(isTampering))
      assert.deepStrictEqual(
        report.chains.map((chain) => [chain.chain, chain.rows, chain.lastSeq, chain.verdict]),
        [
          ["session:clean", 1, 1, "ok"],
          ["session:s", 9, 10, "tampered"]
        ]
      )
      assert.deepStrictEqual([report.verdict, report.rows, report.authenticated], ["tampered", 10, true])
    }).pipe(Effect.provide(rig()))
  )

  it.effect("a chain that lost its last rows is shorter than its head says (A-04, AUD-12)", () =>
    Effect.gen(function* () {
      yield* logTen
      for (const kept of [9, 1, 0]) {
        const row = (one: ChainRow) => (one.seq > kept ? null : one)
        const [report, error] = yield* Effect.flatMap(Audit, (audit) =>
          Effect.all([audit.report(), Effect.flip(audit.verifyChain())])
        ).pipe(readingTampered({ row }))
        assert.deepStrictEqual(report.breaks, [{ chain: "session:s", seq: kept + 1, problem: "head" }])
        assert.deepInclude(error, { seq: kept + 1, problem: "head" })
      }
    }).pipe(Effect.provide(rig()))
  )

  it.effect("a head that was rewound or replaced contradicts the rows (A-04, A-21)", () =>
    Effect.gen(function* () {
      yield* logTen
      const report = Effect.flatMap(Audit, (audit) => audit.report())
      const rewound = yield* report.pipe(readingTampered({ head: (head) => ({ ...head, seq: 8 }) }))
      assert.deepInclude(rewound.breaks, { chain: "session:s", seq: 9, problem: "head" })
      const replaced = yield* report.pipe(readingTampered({ head: (head) => ({ ...head, hash: new Uint8Array(32) }) }))
      assert.deepStrictEqual(replaced.breaks, [{ chain: "session:s", seq: 10, problem: "head" }])
    }).pipe(Effect.provide(rig()))
  )

  it.effect("finds no fault while others append (A-24)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const writer = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 40 }), () => Effect.andThen(logTen, Effect.yieldNow))
      )
      for (let i = 0; i < 10; i++) {
        assert.strictEqual((yield* audit.report()).verdict, "ok")
        yield* Effect.yieldNow
      }
      yield* Fiber.join(writer)
      assert.strictEqual((yield* audit.report()).rows, 400)
    }).pipe(Effect.provide(rig()))
  )
})

describe("session.closed", () => {
  it.effect("ends a session: the report says by which row and what came after, which is no break (BEY-04)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      yield* logTen
      yield* audit.log({ ...event, kind: "session.closed" })
      const { agentId } = event
      yield* audit.log({ kind: "session.closed", agentId })
      const closed = Effect.map(audit.report(), ({ chains, verdict }) => [
        verdict,
        ...chains.map((one) => [one.chain, one.closed])
      ])
      const agent = [`agent:${agentId}`, undefined]
      assert.deepStrictEqual(yield* closed, ["ok", agent, ["session:s", { seq: 11, rowsAfter: 0 }]])
      yield* logTen
      yield* audit.log({ ...event, kind: "session.closed" })
      assert.deepStrictEqual(yield* closed, ["ok", agent, ["session:s", { seq: 11, rowsAfter: 11 }]])
    }).pipe(Effect.provide(rig()))
  )
})

describe("Audit.tail", () => {
  it.effect("gives every new row once and none twice, of chains old and new, in the order of each chain (A-23)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      yield* logTen
      const seen: Array<string> = []
      const reader = yield* audit.tail().pipe(
        Stream.runForEach((record) => Effect.sync(() => void seen.push(`${record.chain} ${record.seq}`))),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, [])
      yield* audit.log(event)
      yield* audit.log({ ...event, sessionId: "new" })
      yield* audit.log(event)
      yield* TestClock.adjust("1 second")
      assert.sameMembers(seen, ["session:s 11", "session:s 12", "session:new 1"])
      yield* TestClock.adjust("15 minutes")
      yield* audit.log(event)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(seen.length, 4)
      yield* Fiber.interrupt(reader)
    }).pipe(Effect.provide(rig()))
  )

  it.effect("begins at a moment in the past on request (A-23)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      yield* audit.log(event)
      yield* TestClock.adjust("1 minute")
      yield* logTen
      const seen = yield* audit.tail({ sinceMs: 60_000 }).pipe(Stream.take(10), Stream.runCollect)
      assert.deepStrictEqual(
        seen.map((record) => record.seq),
        [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
      )
    }).pipe(Effect.provide(rig()))
  )

  it.effect("goes on behind rows that were pruned before it came to them, however many (A-23, A-29)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      yield* logTen
      let prunedTo = 0
      const seen: Array<number> = []
      const reading = Effect.gen(function* () {
        const tail = yield* Effect.map(Audit, (_) => _.tail)
        yield* tail().pipe(
          Stream.runForEach((record) => Effect.sync(() => void seen.push(record.seq))),
          Effect.forkScoped({ startImmediately: true })
        )
        for (let n = 0; n < 1_300; n++) yield* audit.log(event)
        prunedTo = 1_200
        yield* TestClock.adjust("2 seconds")
      })
      yield* reading.pipe(readingTampered({ row: (row) => (row.seq > prunedTo ? row : null) }))
      assert.deepStrictEqual(
        seen,
        Array.from({ length: 110 }, (_, n) => 1_201 + n)
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("finds by comparing heads what a late commit hid from it (A-23)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const store = yield* AuditStore
      const seen: Array<number> = []
      const deaf = Effect.gen(function* () {
        const tail = yield* Effect.map(Audit, (_) => _.tail)
        yield* tail().pipe(
          Stream.runForEach((record) => Effect.sync(() => void seen.push(record.seq))),
          Effect.forkScoped({ startImmediately: true })
        )
        yield* audit.log(event)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(seen, [])
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(seen, [1])
      })
      const blind = AuditStore.of({ ...store, movedSince: () => Effect.succeed([]) })
      yield* deaf.pipe(Effect.scoped, readingTampered({}), Effect.provideService(AuditStore, blind))
    }).pipe(Effect.provide(rig()))
  )
})
