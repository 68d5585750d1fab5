import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { leafHashOf, originOf } from "../../src/schema/Checkpoint.ts"
import { adoptionText } from "../../src/schema/CheckpointEntry.ts"
import { formatNote, noteKeyId } from "../../src/schema/SignedNote.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { ChainKeys } from "../../src/services/ChainKeys.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import { makeMemory } from "../../src/services/CheckpointSink.ts"
import { CheckpointStore } from "../../src/services/CheckpointStore.ts"
import * as RememberedCheckpoint from "../../src/services/RememberedCheckpoint.ts"
import { freshDatabase } from "../support/database.ts"
import { chain, dump, examined, inProcess, key, make, newKey, reseal, restore, rows, tamper } from "./World.ts"

const inFresh = Effect.provide(freshDatabase, { local: true })

describe("what somebody with every right on the server does to hide it", () => {
  it.live("a database that went back and then passed its own sink in one step is a fork (A-06, A-31)", () =>
    Effect.gen(function* () {
      const sink = makeMemory("file")
      const here = inProcess({ sinks: [sink] })
      yield* here(Effect.andThen(rows("s", 3), make))
      yield* dump
      yield* here(Effect.andThen(rows("s", 1), make))
      yield* restore
      // Two chains at once: the database never has the size that the sink ends with.
      yield* inProcess()(
        Effect.gen(function* () {
          yield* rows("a", 1)
          yield* rows("b", 1)
          assert.strictEqual((yield* make)?.size, 3)
        })
      )
      // Somebody who remembers nothing and is given the file of checkpoints.
      const report = yield* inProcess({ sinks: [sink] })(examined)
      assert.strictEqual(report.verdict, "forked", JSON.stringify(report.findings))
      assert.deepInclude(report.findings[0], { where: "file", checkpoint: 2 })
    }).pipe(inFresh)
  )

  /** Leaf, root and peaks of a log of one chain as its rows make them now, with every signature taken away. */
  const rewriteCheckpoints = Effect.gen(function* () {
    const { current } = yield* ChainKeys
    const audit = yield* AuditStore
    yield* reseal(audit, "s", 1, current)
    const { hash } = yield* audit.head(chain("s"))
    const leaf = Buffer.from(leafHashOf({ chain: "session:s", seq: 12, hash: hash! }, sha256)).toString("hex")
    yield* tamper(
      "TRUNCATE governance_checkpoint_notes",
      `UPDATE governance_checkpoint_leaves SET hash = '\\x${Buffer.from(hash!).toString("hex")}'`,
      `UPDATE governance_checkpoints SET root = '\\x${leaf}', peaks = '\\x${leaf}'`
    )
  })

  it.live("a history written anew, checkpoints and all, is not called anchored (A-04, A-31, K-08)", () =>
    Effect.gen(function* () {
      yield* inProcess()(Effect.andThen(rows("s", 12), make))
      yield* inProcess()(rewriteCheckpoints)
      const report = yield* inProcess()(examined)
      assert.strictEqual(report.verdict, "noCheckpoints", JSON.stringify(report.findings))
      assert.strictEqual(report.anchoredTo, 0)
      assert.include(report.findings[0]?.message, "undetectable")
    }).pipe(inFresh)
  )

  it.live("a history written anew is signed by nobody who has seen the old one (A-31, A-32, K-08)", () =>
    Effect.gen(function* () {
      const sink = makeMemory("file")
      const memory = RememberedCheckpoint.makeMemory()
      yield* inProcess({ sinks: [sink], memory })(Effect.andThen(rows("s", 12), make))
      yield* inProcess()(rewriteCheckpoints)
      for (const options of [{ memory }, { sinks: [sink] }]) {
        assert.strictEqual((yield* inProcess(options)(examined)).verdict, "forked")
        const refused = yield* inProcess(options)(Effect.flip(make))
        assert.strictEqual(refused._tag, "RolledBack")
        // Nor once it went on.
        yield* inProcess()(rows("s", 1))
        assert.strictEqual((yield* inProcess(options)(Effect.flip(make)))._tag, "RolledBack")
      }
    }).pipe(inFresh)
  )

  it.live("a loss that somebody else's adoption answers for stays a loss (A-06, A-31)", () =>
    Effect.gen(function* () {
      yield* inProcess()(Effect.andThen(rows("s", 12), make))
      const [checkpoint] = yield* inProcess()(Effect.flatMap(CheckpointStore, (store) => store.checkpoints(0, 1)))
      const origin = yield* inProcess()(
        Effect.map(
          Effect.flatMap(CheckpointStore, (store) => store.deploymentId),
          originOf
        )
      )
      const lost = [{ chain: "session:s", after: 0 }]
      const facts = { origin, size: 1, by: "mallory", reason: "disk", at: "2027-01-15T08:00:00.000Z", lost }
      const text = adoptionText(facts, checkpoint!.root)
      const adoptedBy = ({ publicKey, sign }: typeof key) =>
        Result.getOrThrow(
          formatNote(text, [
            {
              name: origin,
              keyId: noteKeyId(origin, publicKey, sha256),
              signature: sign(new TextEncoder().encode(text))
            }
          ])
        )
      yield* tamper(
        "DELETE FROM governance_audit_events",
        "DELETE FROM governance_audit_chain_heads",
        `INSERT INTO governance_checkpoint_adoptions VALUES (gen_random_uuid(), 1, '${adoptedBy(newKey())}')`
      )
      const report = yield* inProcess()(examined)
      assert.deepStrictEqual([report.verdict, report.adoptions], ["missing", []])
      // The same statement by the holder of the checkpoint key does answer for it.
      yield* tamper(`INSERT INTO governance_checkpoint_adoptions VALUES (gen_random_uuid(), 1, '${adoptedBy(key)}')`)
      assert.strictEqual((yield* inProcess()(examined)).verdict, "ok")
    }).pipe(inFresh)
  )
})
