import { randomUUID } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { EventId, operatorChain, SessionId } from "../../src/schema/Ids.ts"
import { prunedKind, sealedKind, segmentOf } from "../../src/schema/Retention.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { ChainKeys } from "../../src/services/ChainKeys.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import { makeMemory } from "../../src/services/CheckpointSink.ts"
import { CheckpointStore } from "../../src/services/CheckpointStore.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import * as RememberedCheckpoint from "../../src/services/RememberedCheckpoint.ts"
import { draftIn } from "../../src/testing/AuditChains.ts"
import { freshDatabase } from "../support/database.ts"
import { attempts } from "./Rights.ts"
import {
  asOwner,
  asProgram,
  chain,
  chains,
  dump,
  examined,
  inProcess,
  make,
  newKey,
  reseal,
  restore,
  retaken,
  rows,
  tamper,
  wipeCheckpoints
} from "./World.ts"

const inFresh = Effect.provide(freshDatabase, { local: true })

/** Deletes the last `count` rows of a session of 12, as somebody with every right can; the head goes back or stays. */
const truncate = (count: number, rewind: boolean) =>
  tamper(
    `DELETE FROM governance_audit_events WHERE chain = 'session:s' AND seq > ${12 - count}`,
    ...(rewind
      ? count === 12
        ? ["DELETE FROM governance_audit_chain_heads WHERE chain = 'session:s'"]
        : [
            `UPDATE governance_audit_chain_heads h SET seq = e.seq, hash = e.hash, at_ms = e.at_ms
               FROM governance_audit_events e WHERE h.chain = 'session:s' AND e.chain = h.chain AND e.seq = ${12 - count}`
          ]
      : [])
  )

const covered = Effect.gen(function* () {
  yield* rows("other", 3)
  yield* rows("s", 12)
  yield* make
})

describe("truncation by somebody with every right on the server (A-04, A-20)", () => {
  const expected = { 1: "shorter", 10: "shorter", 12: "missing" } as const
  for (const count of [1, 10, 12] as const) {
    for (const rewind of [false, true]) {
      const what = `the last ${count} of 12 rows${rewind ? " and the head with them" : ""}`
      it.live(`of ${what} is named with checkpoint, chain and row; without a checkpoint that is said honestly`, () =>
        Effect.gen(function* () {
          const sink = makeMemory("file")
          yield* inProcess({ sinks: [sink] })(covered)
          yield* truncate(count, rewind)

          const alone = yield* inProcess()(chains)
          // The chains alone notice it by the head, and nothing once that went back too.
          assert.strictEqual(alone.verdict, rewind ? "ok" : "tampered")

          for (const sinks of [[sink], []]) {
            const report = yield* inProcess({ sinks })(examined)
            assert.strictEqual(report.verdict, expected[count], JSON.stringify(report))
            const [found] = report.findings
            assert.deepInclude(found, { chain: "session:s", seq: 12, checkpoint: 2 })
            assert.include(found?.message, count === 12 ? "was deleted" : "shorter than checkpoint 2")
            assert.strictEqual(report.anchoredTo, 2)
          }

          yield* wipeCheckpoints
          const outside = yield* inProcess({ sinks: [sink] })(examined)
          assert.strictEqual(outside.verdict, "rollback")
          assert.isTrue(outside.findings.some((found) => found.verdict === expected[count] && found.seq === 12))
          const nothing = yield* inProcess()(examined)
          assert.strictEqual(nothing.verdict, "noCheckpoints")
          assert.include(nothing.findings[0]?.message, "undetectable")
          assert.strictEqual(nothing.anchoredTo, 0)
        }).pipe(inFresh)
      )
    }
  }

  it.live("beyond the last checkpoint is not covered, and the report says how far it reaches", () =>
    Effect.gen(function* () {
      yield* inProcess()(covered)
      yield* inProcess()(rows("late", 2))
      yield* tamper(
        "DELETE FROM governance_audit_events WHERE chain = 'session:late'",
        "DELETE FROM governance_audit_chain_heads WHERE chain = 'session:late'"
      )
      const report = yield* inProcess()(examined)
      assert.strictEqual(report.verdict, "ok")
      assert.deepInclude(report, { anchoredTo: 2, coveredChains: 2, coveredRows: 15 })
    }).pipe(inFresh)
  )
})

describe("history that was written anew", () => {
  for (const from of [1, 12]) {
    it.live(
      `from row ${from} on with the stolen audit secret verifies as a chain, and the checkpoint names it (K-08)`,
      () =>
        Effect.gen(function* () {
          const sink = makeMemory("file")
          yield* inProcess({ sinks: [sink] })(covered)
          yield* inProcess()(
            Effect.gen(function* () {
              const { current } = yield* ChainKeys
              yield* reseal(yield* AuditStore, "s", from, current)
            })
          )
          assert.strictEqual((yield* inProcess()(chains)).verdict, "ok")
          const report = yield* inProcess({ sinks: [sink] })(examined)
          assert.strictEqual(report.verdict, "rewritten")
          assert.deepInclude(report.findings[0], { chain: "session:s", seq: 12, checkpoint: 2 })
          // It is not signed over either: once the chain moves on, the writer sees what it stands on.
          const refused = yield* inProcess({ sinks: [sink] })(Effect.andThen(rows("s", 1), Effect.flip(make)))
          assert.strictEqual(refused._tag, "CheckpointContradicted")
        }).pipe(inFresh)
    )
  }

  it.live("as a fork, rows taken away and others put in their place, is named (A-04)", () =>
    Effect.gen(function* () {
      yield* inProcess()(covered)
      yield* truncate(3, true)
      yield* inProcess()(rows("s", 5, '{"other":1}'))
      assert.strictEqual((yield* inProcess()(chains)).verdict, "ok")
      const report = yield* inProcess()(examined)
      assert.strictEqual(report.verdict, "rewritten")
      assert.deepInclude(report.findings[0], { chain: "session:s", seq: 12, checkpoint: 2 })
    }).pipe(inFresh)
  )

  it.live("in the checkpoint tables is found by their roots and by the sink", () =>
    Effect.gen(function* () {
      const sink = makeMemory("file")
      yield* inProcess({ sinks: [sink] })(covered)
      yield* tamper("UPDATE governance_checkpoint_leaves SET seq = 11 WHERE chain = 'session:s'")
      const report = yield* inProcess({ sinks: [sink] })(examined)
      assert.strictEqual(report.verdict, "rewritten")
      assert.deepInclude(report.findings[0], { where: "database", checkpoint: 2 })
    }).pipe(inFresh)
  )
})

describe("a database that went back (A-05, A-06)", () => {
  it.live(
    "to an older backup is a rollback for sink and memory; signing stops until it is adopted, which is logged",
    () =>
      Effect.gen(function* () {
        const sink = makeMemory("file")
        const memory = RememberedCheckpoint.makeMemory()
        const here = inProcess({ sinks: [sink], memory })
        yield* here(covered)
        yield* dump
        yield* here(
          Effect.gen(function* () {
            yield* rows("s", 20)
            yield* rows("new", 5)
            yield* make
          })
        )
        yield* restore
        const bySink = yield* inProcess({ sinks: [sink] })(examined)
        assert.strictEqual(bySink.verdict, "rollback")
        assert.deepInclude(bySink.findings[0], { where: "file", checkpoint: 4 })
        assert.deepStrictEqual(
          bySink.findings.slice(1).map(({ chain: name, seq, verdict }) => [verdict, name, seq]),
          [
            ["missing", "session:new", 5],
            ["shorter", "session:s", 32]
          ]
        )
        assert.strictEqual((yield* inProcess({ memory })(examined)).verdict, "rollback")
        for (const options of [{ sinks: [sink] }, { memory }]) {
          const refused = yield* inProcess(options)(Effect.andThen(rows("s", 1), Effect.flip(make)))
          assert.strictEqual(refused._tag, "RolledBack")
        }
        assert.strictEqual(sink.entries.length, 2)

        const adopt = Effect.flatMap(Checkpoints, (checkpoints) =>
          checkpoints.adopt({ by: "ada", reason: "disk died, dump of Friday" })
        )
        const program = yield* here(Effect.flip(adopt))
        assert.strictEqual(program._tag, "ConfigurationError")
        assert.include(program.message, "connect as the role that ran `governance migrate`")
        const owning = inProcess({ sinks: [sink], memory, owner: true })
        const adopted = yield* owning(adopt)
        // All five rows of the one are gone; of the other there are 12, and 2 that came since.
        assert.deepStrictEqual(adopted.adoption.lost, [
          { chain: "session:new", after: 0 },
          { chain: "session:s", after: 14 }
        ])
        const after = yield* here(Effect.andThen(rows("s", 2), Effect.andThen(make, examined)))
        assert.strictEqual(after.verdict, "ok", JSON.stringify(after.findings))
        assert.deepInclude(after.adoptions[0], { by: "ada", reason: "disk died, dump of Friday", size: 4 })
        // The log says it, and the log of checkpoints went on: no size was ever signed twice.
        const { rows: operator } = yield* here(
          Effect.map(chains, (report) => report.chains.find((one) => one.chain === "operator")!)
        )
        assert.strictEqual(operator, 1)
        assert.strictEqual((yield* here(examined)).findings.length, 0)
        // Restored once more, to before that: what was answered for then is known from the sink, what is lost now is not.
        yield* restore
        assert.strictEqual((yield* here(examined)).verdict, "rollback")
        yield* owning(Effect.flatMap(Checkpoints, (checkpoints) => checkpoints.adopt({ by: "bob", reason: "again" })))
        const twice = yield* here(examined)
        assert.strictEqual(twice.verdict, "ok", JSON.stringify(twice.findings))
        assert.deepStrictEqual(twice.adoptions.map(({ by }) => by).sort(), ["ada", "bob"])
        // Once adopted, later losses are losses again.
        yield* truncate(0, true)
        yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:other' AND seq = 3")
        assert.strictEqual((yield* here(examined)).verdict, "shorter")
      }).pipe(inFresh)
  )

  it.live("and went on by itself beside its own sink is a fork of the checkpoints (A-31)", () =>
    Effect.gen(function* () {
      const sink = makeMemory("file")
      yield* inProcess({ sinks: [sink] })(covered)
      yield* dump
      yield* inProcess({ sinks: [sink] })(Effect.andThen(rows("a", 1), make))
      yield* restore
      yield* inProcess()(Effect.andThen(rows("b", 1), make))
      const report = yield* inProcess({ sinks: [sink] })(examined)
      assert.strictEqual(report.verdict, "forked")
      const refused = yield* inProcess({ sinks: [sink] })(Effect.flip(make))
      assert.strictEqual(refused._tag, "RolledBack")
      const adopt = yield* inProcess({ sinks: [sink] })(
        Effect.flatMap(Checkpoints, (checkpoints) => Effect.flip(checkpoints.adopt({ by: "ada", reason: "x" })))
      )
      assert.strictEqual(adopt._tag, "RolledBack")
    }).pipe(inFresh)
  )

  it.live("wiped, with another deployment id or another key, is another identity (A-05)", () =>
    Effect.gen(function* () {
      const sink = makeMemory("file")
      const memory = RememberedCheckpoint.makeMemory()
      yield* inProcess({ sinks: [sink], memory })(covered)
      for (const options of [{ sinks: [sink] }, { memory }]) {
        const other = { ...options, signing: newKey() }
        assert.strictEqual((yield* inProcess(other)(examined)).verdict, "otherIdentity")
        assert.strictEqual((yield* inProcess(other)(Effect.flip(make)))._tag, "OtherIdentity")
      }
      yield* tamper(
        "TRUNCATE governance_audit_events, governance_audit_chain_heads",
        "UPDATE governance_meta SET value = gen_random_uuid()::text WHERE key = 'deployment_id'"
      )
      yield* wipeCheckpoints
      for (const options of [{ sinks: [sink] }, { memory }]) {
        yield* inProcess(options)(rows("fresh", 1))
        const report = yield* inProcess(options)(examined)
        assert.strictEqual(report.verdict, "otherIdentity")
        assert.strictEqual((yield* inProcess(options)(Effect.flip(make)))._tag, "OtherIdentity")
      }
    }).pipe(inFresh)
  )
})

describe("a checkpoint key that was changed", () => {
  const adopt = Effect.flatMap(Checkpoints, (checkpoints) =>
    checkpoints.adopt({ by: "ada", reason: "the machine with the old key is gone" })
  )

  it.live("signs nothing until it is adopted; then it goes on in the same log, which says so (A-06, K-08)", () =>
    Effect.gen(function* () {
      const sink = makeMemory("file")
      const memory = RememberedCheckpoint.makeMemory()
      yield* inProcess({ sinks: [sink], memory })(covered)
      const signing = newKey()
      const here = inProcess({ sinks: [sink], memory, signing })
      yield* inProcess()(rows("s", 1))
      assert.strictEqual((yield* here(Effect.flip(make)))._tag, "OtherIdentity")
      assert.strictEqual(sink.entries.length, 1)

      const { adoption, checkpoint } = yield* here(adopt)
      assert.deepInclude(adoption, { size: 2, by: "ada", lost: [] })
      // The session moved on, and the log of operators has the adoption.
      assert.deepInclude(checkpoint, { size: 4, previous: 2 })
      const report = yield* here(examined)
      assert.deepStrictEqual([report.verdict, report.anchoredTo], ["ok", 4], JSON.stringify(report.findings))
      assert.deepStrictEqual(
        report.adoptions.map(({ by }) => by),
        ["ada"]
      )
      const operator = yield* here(Effect.flatMap(AuditStore, (audit) => audit.find({ chain: operatorChain })))
      assert.deepStrictEqual(
        operator.map(({ kind }) => kind),
        ["audit.checkpoint_adopted"]
      )
      // A program that still has the old key is the stranger now: it signs nothing beside it.
      yield* inProcess()(rows("s", 1))
      assert.strictEqual((yield* inProcess({ sinks: [sink], memory })(Effect.flip(make)))._tag, "OtherIdentity")
      const next = yield* here(make)
      assert.deepInclude(next, { size: 5, previous: 4 })
      assert.strictEqual((yield* here(examined)).verdict, "ok")
    }).pipe(inFresh)
  )

  it.live("covers what the old one signed: a row rewritten before and after the adoption is named (K-08)", () =>
    Effect.gen(function* () {
      const sink = makeMemory("file")
      yield* inProcess({ sinks: [sink] })(covered)
      const here = inProcess({ sinks: [sink], signing: newKey() })
      yield* here(adopt)
      yield* tamper(
        "UPDATE governance_audit_events SET hash = decode(repeat('ab', 32), 'hex') WHERE chain = 'session:other' AND seq = 3"
      )
      const report = yield* here(examined)
      assert.strictEqual(report.verdict, "rewritten")
      assert.deepInclude(report.findings[0], { chain: "session:other", seq: 3, checkpoint: 2 })
    }).pipe(inFresh)
  )
})

describe("rows that retention removed", () => {
  /** What chain `operator` says of the first 12 rows of the session: the seal, and once they are gone the pruning. */
  const say = (kinds: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const audit = yield* AuditStore
      const [first, ...rest] = yield* Stream.runCollect(audit.rows(chain("s"), { toSeq: 12 }))
      const segment = segmentOf([first!, ...rest], sha256)
      const id = EventId.make(randomUUID())
      for (const kind of kinds) {
        const isSeal = kind === sealedKind
        yield* audit.append({
          ...draftIn(SessionId.make("s")),
          ...(isSeal ? { id } : {}),
          chain: operatorChain,
          session: null,
          kind,
          metadataText: canonicalize(isSeal ? segment : { ...segment, seal: id })
        })
      }
    })
  const gone = tamper("DELETE FROM governance_audit_events WHERE chain = 'session:s' AND seq <= 12")

  it.live("are no loss where the log says that they were sealed and pruned, and a loss elsewhere (A-29)", () =>
    Effect.gen(function* () {
      yield* inProcess()(covered)
      yield* inProcess()(say([sealedKind, prunedKind]).pipe(Effect.andThen(rows("s", 1)), Effect.andThen(make)))
      yield* gone
      assert.strictEqual((yield* inProcess()(examined)).verdict, "ok")
      assert.isNotNull(yield* inProcess()(Effect.andThen(rows("s", 1), make)))
      yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:other' AND seq <= 3")
      assert.strictEqual((yield* inProcess()(examined)).verdict, "missing")
      // What was planted or changed without the key excuses nothing.
      yield* tamper(
        "UPDATE governance_audit_events SET hmac = decode(repeat('00', 32), 'hex') WHERE kind = 'audit.segment_sealed'"
      )
      const { findings } = yield* inProcess()(examined)
      assert.isTrue(findings.some((found) => found.chain === "session:s" && found.seq === 12))
    }).pipe(inFresh)
  )

  it.live(
    "are missed where others than a checkpoint saw were sealed and pruned, though all of them verified (K-08)",
    () =>
      Effect.gen(function* () {
        const sink = makeMemory("file")
        yield* inProcess({ sinks: [sink] })(covered)
        yield* inProcess()(
          Effect.gen(function* () {
            const { current } = yield* ChainKeys
            yield* reseal(yield* AuditStore, "s", 1, current)
            yield* say([sealedKind, prunedKind])
          })
        )
        yield* gone
        assert.strictEqual((yield* inProcess()(chains)).verdict, "ok")
        const { findings, verdict } = yield* inProcess({ sinks: [sink] })(examined)
        assert.strictEqual(verdict, "missing", JSON.stringify(findings))
        assert.deepInclude(findings[0], { chain: "session:s", seq: 12, checkpoint: 2 })
        const refused = yield* inProcess({ sinks: [sink] })(Effect.andThen(rows("s", 1), Effect.flip(make)))
        assert.strictEqual(refused._tag, "CheckpointContradicted")
      }).pipe(inFresh)
  )

  it.live("are a loss where they were only sealed, for who verifies and for who would sign on (A-29)", () =>
    Effect.gen(function* () {
      yield* inProcess()(covered)
      yield* inProcess()(say([sealedKind]).pipe(Effect.andThen(rows("s", 1)), Effect.andThen(make)))
      yield* gone
      const report = yield* inProcess()(examined)
      assert.deepInclude(report.findings[0], { verdict: "rewritten", chain: "session:s", seq: 12 })
      const refused = yield* inProcess()(
        Effect.gen(function* () {
          yield* tamper("DELETE FROM governance_audit_events WHERE chain = 'session:s'")
          yield* rows("s", 1)
          return yield* Effect.flip(make)
        })
      )
      assert.strictEqual(refused._tag, "CheckpointContradicted")
    }).pipe(inFresh)
  )
})

describe("a program that lies with the rights of the runtime role", () => {
  const commit = (previous: number, leaves: ReadonlyArray<readonly [string, string, string]>) =>
    `SELECT governance_commit_checkpoint(${previous}, ARRAY[${leaves.map(([name]) => name)}]::text[],
       ARRAY[${leaves.map(([, seq]) => seq)}]::bigint[], ARRAY[${leaves.map(([, , hash]) => hash)}]::bytea[])`
  const stored = (seq: number) =>
    `(SELECT hash FROM governance_audit_events WHERE chain = 'session:s' AND seq = ${seq})`
  const zero = `'\\x${"00".repeat(32)}'`

  it.live("is refused whatever it claims, and signing goes on; an unsigned truth is signed by the next (A-32)", () =>
    Effect.gen(function* () {
      const sink = makeMemory("file")
      const here = inProcess({ sinks: [sink] })
      yield* here(Effect.andThen(covered, rows("s", 2)))
      const random = `'\\x${"5a".repeat(32)}'`
      for (const [text, code] of [
        [commit(2, [["'agent:ci'", "1", zero]]), "GV001"],
        [commit(2, [["'session:s'", "14", zero]]), "GV001"],
        [commit(2, [["'session:s'", "15", stored(14)]]), "GV001"],
        [commit(2, [["'session:s'", "12", stored(12)]]), "GV001"],
        [commit(2, [["'session:s'", "3", stored(3)]]), "GV001"],
        [
          commit(2, [
            ["'session:s'", "13", stored(13)],
            ["'session:s'", "14", stored(14)]
          ]),
          "GV001"
        ],
        [commit(2, [["'session:s'", "NULL", stored(14)]]), "GV001"],
        [commit(2, []), "GV001"],
        [
          `SELECT governance_commit_checkpoint(2, 3, ${random}, ${random}, ARRAY['agent:ci'], ARRAY[1::bigint], ARRAY[${zero}::bytea])`,
          "42883"
        ],
        [retaken(2, "agent:ci", 1, zero), "42501"]
      ] as const) {
        assert.strictEqual(sqlState(yield* Effect.flip(asProgram(text))), code, text)
      }
      yield* asProgram(commit(2, [["'session:s'", "13", stored(13)]]))
      const made = yield* here(make)
      assert.deepInclude(made, { size: 4, previous: 3 })
      const report = yield* here(examined)
      assert.deepStrictEqual([report.verdict, report.anchoredTo], ["ok", 4], JSON.stringify(report.findings))
    }).pipe(inFresh)
  )

  it.live(
    "or an owner who put in what does not follow: an adoption that fails is neither kept nor remembered (A-06)",
    () =>
      Effect.gen(function* () {
        const memory = RememberedCheckpoint.makeMemory()
        const here = inProcess({ memory })
        yield* here(Effect.andThen(covered, rows("s", 1)))
        const before = yield* memory.recall
        yield* asOwner(retaken(2, "session:s", 13, stored(13)))
        yield* tamper(`UPDATE governance_checkpoints SET root = ${zero} WHERE size = 3`)
        const refused = yield* here(
          Effect.flatMap(Checkpoints, (checkpoints) =>
            Effect.flip(checkpoints.adopt({ by: "ada", reason: "what is it" }))
          )
        )
        assert.strictEqual(refused._tag, "RolledBack")
        assert.deepStrictEqual(yield* memory.recall, before)
        const store = Effect.flatMap(CheckpointStore, ({ adoptions }) => adoptions)
        assert.deepStrictEqual(yield* here(store), [])
        assert.isFalse((yield* here(chains)).chains.some((one) => one.chain === operatorChain))
      }).pipe(inFresh)
  )
})

describe("the checkpoint tables", () => {
  it.live(
    "are read and extended by the runtime role through functions, and changed by nobody (INV-2, A-17 to A-19)",
    () =>
      Effect.gen(function* () {
        yield* inProcess()(covered)
        const got = yield* attempts
        assert.deepStrictEqual(
          got.filter(({ code, role }) => code !== (role === "app" ? "42501" : "GV003")),
          []
        )
        assert.strictEqual(got.length, 30)
        assert.strictEqual((yield* inProcess()(examined)).verdict, "ok")
      }).pipe(inFresh)
  )
})
