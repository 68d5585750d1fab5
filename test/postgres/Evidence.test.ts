import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted, Result } from "effect"
import * as LiveEnvironment from "../../src/cli/LiveEnvironment.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { bundleExitCodes } from "../../src/schema/BundleVerdict.ts"
import type { ComplianceReport } from "../../src/schema/ComplianceReport.ts"
import { sealed } from "../../src/schema/Marked.ts"
import type { NoteKey } from "../../src/schema/SignedNote.ts"
import { AgentKeyStore } from "../../src/services/AgentKeyStore.ts"
import { Audit } from "../../src/services/Audit.ts"
import * as Bundles from "../../src/services/Bundles.ts"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { Compliance } from "../../src/services/Compliance.ts"
import { Erasure } from "../../src/services/Erasure.ts"
import { KeyRotation } from "../../src/services/KeyRotation.ts"
import { Retention } from "../../src/services/Retention.ts"
import { readZip } from "../../src/services/ZipReader.ts"
import { governance } from "../cli/InProcess.ts"
import { type Files, json, put, resign, rewritten, rows, textOf, zip } from "../compliance/Tampering.ts"
import * as Trees from "../compliance/Trees.ts"
import { verdicts } from "../compliance/Verifiers.ts"
import { newSecret } from "../rotation/Processes.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"

const session = "session:s1"
const secret = newSecret()
const seed = "03".repeat(32)

const owner = Layer.unwrap(
  Effect.map(TestDatabase, ({ ownerUrl }) =>
    Postgres.layer({
      databaseUrl: ownerUrl,
      auditSecret: secret,
      checkpointKey: seed,
      checkpointInterval: "1 hour",
      agentKeys: { clerk: "ephemeral" },
      testMode: true,
      warnOnNoWrappers: false
    })
  )
).pipe(Layer.provideMerge(freshDatabase))

const log = (from: number, count: number) =>
  Audit.use((audit) =>
    Effect.forEach(
      Array.from({ length: count }, (_, n) => from + n),
      (n) =>
        audit.require({
          kind: "step",
          agentId: "clerk",
          sessionId: "s1",
          metadata: { n, who: sealed(n % 2 === 0 ? "ada" : "bob", { name: `person ${n}` }) }
        })
    )
  )

/** The key is the agent's from the beginning: it is registered by itself, a moment after the first row. */
const registered = Effect.gen(function* () {
  const store = yield* AgentKeyStore
  while ((yield* store.list).length === 0) yield* Effect.sleep(5)
})

/** A life of a log: sealed and signed rows, a rotation, a segment that was pruned, a subject that was erased, a checkpoint. */
const life = Effect.gen(function* () {
  yield* log(0, 4)
  yield* registered
  const rotation = yield* KeyRotation
  yield* rotation.rotate({ secret: Redacted.make(newSecret()), handOver: true, by: "alice", reason: null })
  yield* Effect.sleep(20)
  const retention = yield* Retention
  const { pruned } = yield* retention.prune({
    olderThan: Duration.millis(1),
    chain: session,
    by: "ann",
    allowShorter: true
  })
  assert.deepStrictEqual(
    pruned.map(({ fromSeq, rows, toSeq }) => [fromSeq, toSeq, rows]),
    [[1, 4, 4]]
  )
  yield* log(4, 5)
  const erased = yield* Erasure.use((erasure) => erasure.erase("ada", { by: "ann", reason: "asked for it" }))
  assert.strictEqual(erased.keys, 1)
  const checkpoints = yield* Checkpoints
  yield* checkpoints.make
  yield* log(9, 1)
  const key = yield* checkpoints.key
  assert.isNotNull(key)
  return key!
})

const written = Effect.fnUntraced(function* (form: "zip" | "json") {
  const bundles = yield* Bundles.Bundles
  const pieces: Array<Uint8Array> = []
  const exported = yield* bundles.write({ by: "alice", form }, (piece) => Effect.sync(() => void pieces.push(piece)))
  return { archive: new Uint8Array(Buffer.concat(pieces)), exported }
})

const factsOf = ({ integrity, retention }: ComplianceReport) =>
  Object.fromEntries([...integrity, ...retention].map(({ label, value }) => [label, value]))

/** The holder of the very key changes files and signs anew. */
const again = (files: Files, key: NoteKey) => resign(files, { ...Trees.keyOf(3, key.name) })

const isSession = ({ chain }: Record<string, unknown>) => chain === session

layer(owner, { excludeTestServices: true, timeout: "60 seconds" })("Evidence of a real log", (it) => {
  it.effect(
    "survives pruning, erasure and rotation: both verifiers say ok and what is not covered, and catch what is changed (BEY-04, BEY-12, A-29, A-30, ROT-09)",
    () =>
      Effect.gen(function* () {
        const key = yield* life
        const { archive, exported } = yield* written("zip")
        assert.strictEqual(exported.bundle.chainIntegrityStatus, "verified")
        assert.deepStrictEqual(verdicts(archive, key), ["ok", "ok"])
        const { archive: document } = yield* written("json")
        assert.deepStrictEqual(verdicts(document, key), ["ok", "ok"])
        const textual = new TextDecoder().decode(document)
        assert.deepStrictEqual(verdicts(Buffer.from(textual.replace('"seq":5', '"seq":6')), key), [
          "tampered",
          "tampered"
        ])

        const found = Result.getOrThrow(verifyBundle(archive, key))
        assert.strictEqual(bundleExitCodes[found.verdict], 0)
        assert.strictEqual(found.signedRows, 6)
        const said = found.notCovered.join("\n")
        assert.include(said, `${session}: rows 1 to 4 were pruned`)
        assert.include(said, "The content of rows that were pruned.")
        assert.include(
          said,
          "What sealed values of erased subjects said: there are 3, and nobody can open them any more."
        )
        assert.include(said, "1 of the rows read. An append-only log cannot show that it is the newest.")

        const files = Result.getOrThrow(readZip(archive))
        const report: ComplianceReport = JSON.parse(textOf(files, "report.json"))
        const facts = factsOf(report)
        assert.deepInclude(facts, {
          "Sealed values": 6,
          "Sealed values whose subject was erased": 3,
          "Sealed values whose key is not at hand here": 0,
          "Rows signed by their agent": 6,
          "Chains that no longer begin at row 1": 1,
          "Segments pruned": 1,
          "Erasures of a subject": 1
        })
        assert.notInclude(textOf(files, "events.jsonl"), "person")
        const keyIds = new Set(
          textOf(files, "events.jsonl")
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(JSON.parse(line).canonical).keyId)
        )
        assert.strictEqual(keyIds.size, 2)

        assert.deepStrictEqual(verdicts(zip(again(files, key)), key), ["ok", "ok"])
        const changes: Record<string, Files> = {
          "a seal is taken away": rows(files, (all) =>
            all.filter((row) => !String(row.canonical).includes('"kind":"audit.segment_sealed"'))
          ),
          "the record of the pruning says another range": rows(files, (all) =>
            all.map((row) =>
              String(row.canonical).includes('"kind":"audit.segment_pruned"')
                ? rewritten(row, (text) => {
                    text.metadata.toSeq = 3
                  })
                : row
            )
          ),
          "one more row of the pruned chain disappears": rows(files, (all) =>
            all.filter((row) => !(isSession(row) && row.seq === 5))
          ),
          "an erased value is exchanged": rows(files, (all) =>
            all.map((row) =>
              isSession(row) && row.seq === 5
                ? rewritten(row, (text) => {
                    text.metadata.who = "somebody else"
                  })
                : row
            )
          ),
          "the signature of a row is another row's": rows(files, (all) => {
            const other = all.find((row) => isSession(row) && row.seq === 6)
            return all.map((row) => (isSession(row) && row.seq === 5 ? { ...row, signature: other?.signature } : row))
          }),
          "the key of the agent was revoked long ago": json(files, "keys.json", (keys) => ({
            ...keys,
            agents: keys.agents.map((one: object) => ({ ...one, revokedAtMs: 1 }))
          })),
          "the checkpoint is of before": put(
            files,
            "checkpoint.txt",
            textOf(files, "checkpoint.txt").replace(/\n\d+\n/, "\n1\n")
          )
        }
        for (const [what, changed] of Object.entries(changes)) {
          assert.deepStrictEqual(verdicts(zip(changed), key), ["tampered", "tampered"], what)
          assert.deepStrictEqual(
            verdicts(zip(again(changed, key)), key),
            ["tampered", "tampered"],
            `${what}, signed anew`
          )
        }
        const keyless = json(files, "keys.json", (keys) => ({ ...keys, agents: [] }))
        assert.deepStrictEqual(verdicts(zip(again(keyless, key)), key), ["unverifiable", "unverifiable"])

        // The program's own report over the same log, by the service that the layer gives.
        const own = yield* Compliance.use((compliance) => compliance.generateArticle12({ verifyChain: true }))
        assert.strictEqual(own.chainIntegrityStatus, "verified")
        assert.deepInclude(factsOf(own), { "Sealed values whose subject was erased": 3 })
      })
  )

  it.effect(
    "is judged by the command line with nothing but the first secret, signatures included (DEC-20, IDN-06)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const env = { GOVERNANCE_DATABASE_URL: Redacted.value(appUrl), GOVERNANCE_AUDIT_SECRET: secret }
        const args = ["report", "--verify", "--json"]
        const ran = yield* governance(args, { env })
        assert.strictEqual(ran.code, 0, ran.err)
        const report: ComplianceReport = JSON.parse(ran.out)
        assert.strictEqual(report.chainIntegrityStatus, "verified")
        assert.deepInclude(factsOf(report), {
          "Rows signed by their agent": 6,
          "Rows that verification could not judge": 0,
          "Sealed values whose subject was erased": 3,
          "Sealed values whose key is not at hand here": 0
        })
        const other = yield* governance(args, { env: { ...env, GOVERNANCE_AUDIT_SECRET: newSecret() } })
        assert.notStrictEqual(other.code, 0)
        const none = yield* governance(args, { env: { GOVERNANCE_DATABASE_URL: env.GOVERNANCE_DATABASE_URL } })
        assert.strictEqual(none.code, 4, none.err)
        assert.deepInclude(factsOf(JSON.parse(none.out)), { "Sealed values whose key is not at hand here": 3 })
      }).pipe(Effect.provide(LiveEnvironment.layer, { local: true }))
  )
})
