import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import { operatorChain } from "../../src/schema/Ids.ts"
import { markerKind } from "../../src/schema/RotationMarker.ts"
import * as FaultProxy from "../faults/FaultProxy.ts"
import { until } from "../faults/Waiting.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { newSecret, operatorWith, type Process, processWith, sealOne, servicesOf, to } from "./Processes.ts"

const inFresh = Effect.provide(freshDatabase, { local: true })
const slow = { hotReloadInterval: "1 hour" } as const

/** One statement as the owner: what even somebody with more rights than a program cannot make us believe. */
const asOwner = (text: string, parameters: ReadonlyArray<unknown> = []) =>
  Effect.provide(
    SqlClient.SqlClient.use((sql) => sql.unsafe(text, parameters).values),
    layerSql("owner", { maxConnections: 1 }),
    { local: true }
  )
const advance = "SELECT governance_advance_chain_key(1, $1, $2, $3, gen_random_uuid(), $4)"

const over = Effect.fnUntraced(function* (url: Redacted.Redacted<string>, auditSecret: string) {
  const layer = Postgres.layer({ databaseUrl: url, auditSecret, testMode: true, hotReloadInterval: "200 millis" })
  return servicesOf(yield* Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), yield* Effect.scope))
})

const rowsOf = ({ log }: Process) => Effect.map(log.find({ agentId: undefined }), (rows) => rows.length)

describe("a log and the secret that belongs to it", () => {
  it.live("do not start together when the secret is another's: exit code 3 (A-05)", () =>
    Effect.gen(function* () {
      const one = yield* operatorWith(newSecret(), slow)
      yield* sealOne(one)
      const error = yield* Effect.flip(processWith(newSecret(), slow))
      assert.deepInclude(error, { _tag: "OtherChainKey", keyId: one.keys.current.keyId, version: 1 })
      // A historic secret that fits does not make the given one fit: the log goes on under its own.
      assert.strictEqual(yield* rowsOf(one), 1)
    }).pipe(Effect.scoped, inFresh)
  )

  it.live("an unreachable database stops no host; nothing is appended before the registry was read (INV-1, A-05)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const secret = newSecret()
      const one = yield* operatorWith(secret, slow)
      yield* sealOne(one)
      const proxy = yield* FaultProxy.make(appUrl)
      yield* proxy.set({ refuse: true })
      const [right, wrong] = yield* Effect.all([over(proxy.url, secret), over(proxy.url, newSecret())])
      for (const { audit, keys } of [right, wrong]) {
        assert.isNotNull(keys.ring.held)
        const { status } = yield* audit.log({ kind: "step", agentId: "clerk", sessionId: "s2" })
        assert.strictEqual(status, "spooled")
      }
      yield* proxy.set({})
      yield* until(Effect.map(right.audit.stats, ({ waiting }) => waiting === 0))
      yield* until(Effect.sync(() => wrong.keys.ring.held === "refused"))
      assert.isNull(right.keys.ring.held)
      const error = yield* Effect.flip(wrong.audit.require({ kind: "step", agentId: "clerk" }))
      assert.deepInclude(error, { _tag: "StoreError", problem: "refused" })
      // Kept, not lost: it waits for a process that may write.
      assert.strictEqual((yield* wrong.audit.stats).waiting, 1)
      const report = yield* one.audit.report()
      assert.deepInclude(report, { verdict: "ok", rows: 2 })
    }).pipe(Effect.scoped, inFresh)
  )

  it.live(
    "are not parted by a row that somebody wrote into the registry: what both keys do not prove is not followed (K-04)",
    () =>
      Effect.gen(function* () {
        const [secret, stolen] = [newSecret(), newSecret()]
        const one = yield* operatorWith(secret, { ...slow, historicSecrets: [Redacted.make(stolen)] })
        const own = yield* sealOne(one)
        const thief = yield* Effect.map(
          Effect.sync(() => one.keys.ring.learn(Redacted.make(stolen))),
          (id) => (id._tag === "Success" ? id.success : assert.fail())
        )
        const fingerprint = one.keys.ring.fingerprintOf(thief)
        // The key is even known here, as one of before; but no marker says that it is current again.
        yield* asOwner(advance, [own, thief, fingerprint, null])
        yield* one.follower.refresh
        assert.strictEqual(yield* sealOne(one), own)
        assert.deepStrictEqual(one.follower.standing(), { version: 1, latest: 2 })
      }).pipe(Effect.scoped, inFresh)
  )

  it.live("cannot be rotated in the runtime role: a program's connection is not enough (L-09)", () =>
    Effect.gen(function* () {
      const program = yield* processWith(newSecret(), slow)
      const own = yield* sealOne(program)
      const error = yield* Effect.flip(program.rotation.rotate(to(newSecret())))
      assert.deepInclude(error, { _tag: "StoreError", problem: "refused" })
      assert.strictEqual(yield* sealOne(program), own)
    }).pipe(Effect.scoped, inFresh)
  )

  it.live("nor by a key or a hand-over that nobody can read: the process goes on, and says so", () =>
    Effect.gen(function* () {
      const one = yield* operatorWith(newSecret(), slow)
      const own = yield* sealOne(one)
      yield* asOwner(advance, [own, "0".repeat(32), "0".repeat(64), Buffer.alloc(60, 7)])
      yield* one.follower.refresh
      assert.strictEqual(yield* sealOne(one), own)
      assert.strictEqual((yield* one.audit.report()).verdict, "ok")
      const refused = yield* Effect.flip(one.rotation.rotate(to(newSecret())))
      assert.deepInclude(refused, { _tag: "RotationRefused", problem: "behind" })
    }).pipe(Effect.scoped, inFresh)
  )

  it.live("a marker that was forged with the old key makes the log tampered, by name (ROT-07, K-04)", () =>
    Effect.gen(function* () {
      const secret = newSecret()
      const one = yield* operatorWith(secret, slow)
      yield* one.rotation.rotate(to(newSecret()))
      // The thief of the old secret writes in the runtime role, and rotates to a key of his own in words alone.
      const [marker] = yield* one.log.find({ chain: operatorChain, kinds: [markerKind] })
      if (marker === undefined) return assert.fail("no marker")
      const thief = yield* processWith(secret, slow)
      thief.keys.ring.switchTo(marker.keyId)
      const { metadata } = JSON.parse(marker.canonical)
      const forged = { ...metadata, hmacNext: "0".repeat(64) }
      yield* thief.log.append({
        ...{ chain: operatorChain, atMs: marker.atMs, agent: marker.agent, session: null, parent: null },
        ...{ id: globalThis.crypto.randomUUID() as typeof marker.id, kind: markerKind, model: null },
        ...{ inputHash: null, outputHash: null, metadataText: JSON.stringify(forged) }
      })
      const report = yield* one.audit.report()
      assert.deepInclude(report, { verdict: "tampered", firstFailureReason: "rotation_marker_dual_mac_failed" })
      assert.deepInclude(report.breaks[0], { chain: "operator", seq: 2, problem: "rotation" })
      const error = yield* Effect.flip(one.audit.verifyChain({ chain: "operator" }))
      assert.deepInclude(error, { _tag: "ChainIntegrityError", problem: "rotation" })
      assert.include(error.message, "rotation_marker_dual_mac_failed")
    }).pipe(Effect.scoped, inFresh)
  )
})
