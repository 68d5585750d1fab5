import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as Memory from "../../src/layers/Memory.ts"
import { checkRow, type Verifier } from "../../src/schema/Chain.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId, agentChain, operatorChain } from "../../src/schema/Ids.ts"
import { localFailure, type SignatureStatus } from "../../src/schema/SignatureStatus.ts"
import { AgentKeyStore } from "../../src/services/AgentKeyStore.ts"
import { AgentKeys } from "../../src/services/AgentKeys.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { ChainKeys } from "../../src/services/ChainKeys.ts"
import { Identity, make as makeIdentity } from "../../src/services/Identity.ts"
import * as SignatureJudge from "../../src/services/SignatureJudge.ts"
import { readingTampered, type Tampering } from "../audit/Rig.ts"
import { anySigner } from "./Keys.ts"

const clerk = AgentId.make("clerk")
const auditor = AgentId.make("auditor")

/** Two agents that sign, one that cannot, and one that need not. */
const signing = Memory.layer({
  agentKeys: { clerk: "ephemeral", auditor: "ephemeral", broken: "env://GOVERNANCE_NOT_SET" },
  signingKeys: null,
  warnOnNoWrappers: false
})
const inWorld = layer(signing, { excludeTestServices: true, timeout: "30 seconds" })

const write = Effect.fnUntraced(function* (agentId: string, count: number) {
  const audit = yield* Audit
  for (let n = 0; n < count; n++) yield* audit.log({ kind: "tool.call", agentId, metadata: { n } })
})

/** The keys of this process are registered by themselves; a test that looks at once must wait for it. */
const registered = Effect.gen(function* () {
  const store = yield* AgentKeyStore
  while ((yield* store.list).length < 2) yield* Effect.sleep(2)
})

const rowsOf = (agentId: AgentId) =>
  AuditStore.use((store) => Stream.runCollect(store.rows(agentChain(agentId)))).pipe(Effect.map((rows) => [...rows]))

const problemsWith = (tampering: Tampering) =>
  Audit.use((audit) => audit.report()).pipe(
    readingTampered(tampering),
    Effect.map(({ breaks }) => breaks.map(({ problem }) => problem))
  )

inWorld("Rows of agents with keys", (it) => {
  it.effect(
    "are signed, verified, and counted by status; an agent that cannot sign says so (IDN-01, IDN-04, IDN-05)",
    () =>
      Effect.gen(function* () {
        yield* registered
        yield* write("clerk", 3)
        yield* write("auditor", 2)
        yield* write("broken", 4)
        yield* write("nobody", 5)
        const audit = yield* Audit
        const report = yield* audit.report()
        assert.strictEqual(report.verdict, "ok")
        assert.deepStrictEqual(report.breaks, [])
        const expected: Partial<Record<SignatureStatus, number>> = {
          signed: 5,
          unsigned_local_failure: 4,
          // Five of nobody's, and the two rows by which the keys were registered.
          legacy_unsigned: 7
        }
        assert.deepStrictEqual(report.signatures, expected)
        assert.strictEqual((yield* audit.stats).unsignedLocalFailures, 4)
        const [row] = yield* rowsOf(AgentId.make("broken"))
        assert.deepStrictEqual([row?.signer, row?.signature], [localFailure, null])
      })
  )

  it.effect("show every signature that is stripped, swapped or flipped, bit by bit (BEY-04, K-11)", () =>
    Effect.gen(function* () {
      const rows = yield* rowsOf(clerk)
      const others = yield* rowsOf(auditor)
      const { hash, macFor } = yield* ChainKeys
      const open = yield* SignatureJudge.make(hash)
      const judge = yield* open
      const problems = (row: ChainRow) =>
        Effect.gen(function* () {
          const verdicts = yield* judge!.judge([row]) ?? Effect.succeed(SignatureJudge.noVerdicts)
          const verifier: Verifier = { hash, macFor, signature: SignatureJudge.signatureOf(judge, verdicts) }
          return checkRow(row, undefined, verifier).map(({ problem }) => problem)
        })
      let survivors = 0
      const changed: Array<ChainRow> = []
      for (const row of rows) {
        assert.deepStrictEqual(yield* problems(row), [])
        const signature = row.signature!
        changed.push({ ...row, signature: null })
        changed.push({ ...row, signature: others[0]!.signature })
        changed.push({ ...row, signature: rows.find((each) => each !== row)!.signature })
        changed.push(
          { ...row, signature: signature.slice(0, 63) },
          { ...row, signature: Buffer.concat([signature, signature]) }
        )
        for (let bit = 0; bit < 512; bit += 1) {
          const flipped = Uint8Array.from(signature)
          flipped[bit >> 3]! ^= 1 << (bit & 7)
          changed.push({ ...row, signature: flipped })
        }
      }
      for (const row of changed) {
        const found = yield* problems(row)
        assert.deepStrictEqual(found, ["signature"])
        if (found.length === 0) survivors++
      }
      assert.isAbove(changed.length, 1500)
      assert.strictEqual(survivors, 0)
    })
  )

  it.effect("cannot lose or change their signer without contradicting what is hashed (design 4)", () =>
    Effect.gen(function* () {
      const [key] = (yield* AgentKeyStore.use((store) => store.list)).filter(({ agentId }) => agentId === auditor)
      for (const signer of [null, localFailure, key!.fingerprint]) {
        const found = yield* problemsWith({
          row: (row) => (row.agent === "clerk" && row.seq === 2 ? { ...row, signer, signature: null } : row)
        })
        assert.include(found, "column", String(signer))
      }
      // A failure that was admitted cannot be turned into a signature either.
      const found = yield* problemsWith({
        row: (row) => (row.agent === "broken" && row.seq === 1 ? { ...row, signature: new Uint8Array(64) } : row)
      })
      assert.deepStrictEqual(found, ["signature"])
    })
  )

  it.effect("signed by another agent's key are breaks, by an unknown one they cannot be judged (IDN-05, K-06)", () =>
    Effect.gen(function* () {
      const store = yield* AgentKeyStore
      const keys = yield* store.list
      const audit = yield* Audit
      const reading = (list: typeof keys) =>
        Effect.gen(function* () {
          const other = yield* Audit
          return yield* other.report()
        }).pipe(
          readingTampered({}),
          Effect.provideService(
            Identity,
            makeIdentity(() => null)
          ),
          Effect.provideService(AgentKeyStore, AgentKeyStore.of({ ...store, list: Effect.succeed(list) }))
        )
      const swapped = keys.map((key) => ({ ...key, agentId: key.agentId === clerk ? auditor : clerk }))
      const fewer = keys.filter(({ agentId }) => agentId !== clerk)
      const unknown = yield* reading(fewer)
      assert.strictEqual(unknown.verdict, "unverifiable")
      assert.deepStrictEqual(unknown.breaks, [])
      assert.strictEqual(unknown.signatures?.unknown_key, 3)
      assert.lengthOf(unknown.unresolvedSigners, 1)
      // A registry that was rewritten does not carry its proofs of possession: its keys judge nothing.
      assert.strictEqual((yield* reading(swapped)).verdict, "unverifiable")
      assert.strictEqual((yield* audit.report()).verdict, "ok")
    })
  )

  it.effect(
    "stay valid when their key is revoked; what it signs afterwards is a break, and the process puts it down (IDN-06, IDN-07)",
    () =>
      Effect.gen(function* () {
        const registry = yield* AgentKeys
        const audit = yield* Audit
        const store = yield* AuditStore
        const identity = yield* Identity
        const [key] = (yield* registry.list).filter(({ agentId }) => agentId === clerk)
        const signer = identity.signers().find(({ agentId }) => agentId === clerk)!
        yield* Effect.sleep(5)
        const done = yield* registry.revoke(key!.fingerprint, { by: "ada", reason: "lost laptop" })
        assert.isTrue(done.revoked)
        yield* Effect.sleep(5)
        yield* write("clerk", 1)
        const report = yield* audit.report()
        assert.strictEqual(report.verdict, "ok")
        assert.strictEqual(report.signatures?.signed, 5)
        assert.strictEqual(report.signatures?.unsigned_local_failure, 5)
        const events = yield* audit.getEvents({ kinds: ["audit.agent_key_revocation"], chain: operatorChain })
        assert.deepInclude(events[0]?.metadata, {
          agent: "clerk",
          fingerprint: key!.fingerprint,
          reason: "lost laptop",
          by: "ada"
        })
        assert.strictEqual(done.key.revocation?.eventId, events[0]?.id)

        // Whoever still holds the key and every other power goes on signing with it.
        const thief = { fingerprint: signer.fingerprint, sign: signer.sign }
        const { current } = yield* ChainKeys
        const { seal } = yield* Effect.promise(() => import("../../src/schema/Chain.ts"))
        const rows = yield* rowsOf(clerk)
        const forged = (before: ChainRow, real: ChainRow) =>
          seal({ ...real, model: null, inputHash: null, outputHash: null, metadataText: "{}" }, before, {
            ...current,
            signer: thief
          })
        const found = yield* problemsWith({
          row: (row) => (row.agent === "clerk" && row.seq === 4 ? forged(rows[2]!, row) : row)
        })
        assert.include(found, "revokedKey")
        assert.isTrue(found.every((problem) => problem === "revokedKey" || problem === "head"))
        assert.strictEqual((yield* store.head(agentChain(clerk))).seq, 4)
      })
  )

  it.effect("keep the first revocation; a key nobody registered, and an empty reason, are refused (IDN-06)", () =>
    Effect.gen(function* () {
      const registry = yield* AgentKeys
      const [key] = (yield* registry.list).filter(({ agentId }) => agentId === clerk)
      const again = yield* registry.revoke(key!.fingerprint, { by: "bob", reason: "again" })
      assert.isFalse(again.revoked)
      assert.strictEqual(again.key.revocation?.reason, "lost laptop")
      const unknown = yield* Effect.flip(registry.revoke(anySigner("x").fingerprint, { by: "bob", reason: "x" }))
      assert.deepInclude(unknown, { _tag: "AgentKeyRefused", problem: "unknown" })
      const empty = yield* Effect.flip(registry.revoke(key!.fingerprint, { by: "bob", reason: " " }))
      assert.strictEqual(empty._tag, "InvalidInput")
    })
  )
})

layer(Layer.empty)("Without a registry", (it) => {
  it.effect("signatures are left unjudged (design 4)", () =>
    Effect.gen(function* () {
      const open = yield* SignatureJudge.make(() => new Uint8Array(32))
      assert.isNull(yield* open)
    })
  )
})
