// biome-ignore-all lint/suspicious/noExplicitAny: what is tampered with has no shape
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result, Stream } from "effect"
import { bundleLabels, signedText } from "../../src/schema/Bundle.ts"
import { formatVerifierKey, type NoteKey } from "../../src/schema/SignedNote.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import * as AuditModule from "../../src/services/Audit.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as BundleKeySource from "../../src/services/BundleKeySource.ts"
import * as Bundles from "../../src/services/Bundles.ts"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import * as CheckpointProofs from "../../src/services/CheckpointProofs.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import { readZip } from "../../src/services/ZipReader.ts"
import { made, over, written } from "./BundleRig.ts"
import { withKey, withoutKey } from "./BundleTamperings.ts"
import * as Logs from "./Logs.ts"
import { type Files, json, resign, textOf, zip } from "./Tampering.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

describe("an evidence bundle", () => {
  it.effect("both verifiers find nothing wrong with it, given the deployment's key (BEY-04)", () =>
    Effect.gen(function* () {
      const { archive } = yield* made
      assert.deepStrictEqual(verdicts(archive), ["ok", "ok"])
      const verdict = Result.getOrThrow(verifyBundle(archive, Trees.key))
      assert.strictEqual(verdict.rows, 17)
      assert.strictEqual(verdict.covers?.size, 5)
      assert.isTrue(verdict.notCovered.some((text) => text.startsWith("Rows after checkpoint 5: 2 of")))
    })
  )

  it.effect("without a key from elsewhere nobody vouches for it; another key is another identity (DEC-20)", () =>
    Effect.gen(function* () {
      const { archive } = yield* made
      assert.deepStrictEqual(verdicts(archive, null), ["unverifiable", "unverifiable"])
      assert.deepStrictEqual(verdicts(archive, Trees.keyOf(9)), ["otherIdentity", "otherIdentity"])
      assert.deepStrictEqual(verdicts(archive, Trees.keyOf(3, "effect-governance/other")), [
        "otherIdentity",
        "otherIdentity"
      ])
    })
  )

  it.effect("whoever changes it without the key is found out by both verifiers, whatever he changes", () =>
    Effect.gen(function* () {
      const { earlier, files } = yield* made
      for (const [what, change] of withoutKey) {
        const changed = change(files, earlier)
        const archive = changed instanceof Uint8Array ? changed : zip(changed)
        assert.deepStrictEqual(verdicts(archive), ["tampered", "tampered"], what)
      }
    })
  )

  it.effect("rows and checkpoint contradict even the holder of the key, in both verifiers", () =>
    Effect.gen(function* () {
      const { earlier, files } = yield* made
      assert.deepStrictEqual(verdicts(zip(resign(files))), ["ok", "ok"])
      for (const [what, change] of withKey) {
        const changed = change(files, earlier)
        const archive = changed instanceof Uint8Array ? changed : zip(changed)
        assert.deepStrictEqual(verdicts(archive), ["tampered", "tampered"], what)
      }
    })
  )

  it.effect("a bundle that a forger made whole with a key of his own is another identity, never ok", () =>
    Effect.gen(function* () {
      const tree = new Trees.Tree()
      const forger = Trees.keyOf(66)
      const archive = yield* Effect.provide(
        Effect.gen(function* () {
          yield* Logs.day
          yield* tree.grow
          return yield* written()
        }),
        over(tree.layer(forger))
      )
      assert.deepStrictEqual(verdicts(archive), ["otherIdentity", "otherIdentity"])
      assert.deepStrictEqual(verdicts(archive, forger), ["ok", "ok"])
    })
  )

  it.effect("without checkpoints and without a key it is whole, and says that nothing vouches for it", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const archive = yield* written({ sessionIds: ["order-4711"] })
      assert.deepStrictEqual(verdicts(archive), ["unverifiable", "unverifiable"])
      const verdict = Result.getOrThrow(verifyBundle(archive, null))
      assert.isNull(verdict.covers)
      assert.strictEqual(verdict.missing.length, 3)
      // The session, and the chain of its agent, in which its halts stand (CMP-13).
      const files = Result.getOrThrow(readZip(archive))
      assert.include(textOf(files, "events.jsonl"), "agent.halted")
      assert.notInclude(textOf(files, "events.jsonl"), "mail-agent")
    }).pipe(Effect.provide(over(CheckpointProofs.layerNone)))
  )

  it.effect("the same rows give the same bytes, and the export stands in chain operator (CMP-12)", () => {
    const tree = new Trees.Tree()
    return Effect.gen(function* () {
      yield* Logs.day
      const first = yield* written({ sessionIds: ["mail-1"] })
      const store = yield* AuditStore
      const exports = yield* store.find({ kinds: ["compliance.bundle_exported"] })
      assert.strictEqual(exports.length, 1)
      assert.strictEqual(exports[0]!.chain, "operator")
      const { metadata } = JSON.parse(exports[0]!.canonical)
      assert.strictEqual(metadata.by, "alice")
      const again = Result.getOrThrow(readZip(first))
      assert.strictEqual(metadata.manifest, Buffer.from(sha256(again.get("manifest.json")!)).toString("hex"))
      const known = yield* store.head("operator" as never)
      const same = (yield* Compliance.Compliance).examine({ sessionIds: ["mail-1"], verifyChain: true })
      assert.deepStrictEqual((yield* same).report, (yield* same).report)
      assert.strictEqual(known.seq, 1)
    }).pipe(Effect.provide(over(tree.layer())))
  })

  it.effect(
    "the same rows give a whole archive of the same bytes; a second export differs by the row of the first",
    () => {
      const tree = new Trees.Tree()
      return Effect.gen(function* () {
        yield* Logs.day
        yield* tree.grow
        const store = yield* AuditStore
        // The row of an export is the one thing that an export changes: without it the log stays as it is.
        const still = AuditStore.of({
          ...store,
          append: () => Effect.map(store.find({ limit: 1 }), ([row]) => ({ _tag: "Stored", row: row! }) as const)
        })
        const frozen = Bundles.layer.pipe(
          Layer.provide(Layer.mergeAll(tree.layer(), BundleKeySource.layerNone, Layer.succeed(AuditStore, still)))
        )
        const [one, two] = yield* Effect.all([written(), written()]).pipe(Effect.provide(frozen, { local: true }))
        assert.deepStrictEqual(Buffer.from(one), Buffer.from(two))
        assert.deepStrictEqual(yield* written(), one)
        const first = Result.getOrThrow(readZip(one))
        const second = Result.getOrThrow(readZip(yield* written()))
        const linesOf = (files: Files) => textOf(files, "events.jsonl").trimEnd().split("\n")
        const added = linesOf(second).filter((line) => !linesOf(first).includes(line))
        assert.strictEqual(added.length, 1)
        assert.include(JSON.parse(added[0]!).canonical, "compliance.bundle_exported")
        for (const name of ["checkpoint.txt", "keys.json", "proofs.json"]) {
          assert.strictEqual(textOf(first, name), textOf(second, name), name)
        }
      }).pipe(Effect.provide(over(tree.layer())))
    }
  )

  it.effect("a verification that storage ends is told in the bundle, which is made all the same (CMP-12)", () => {
    const tree = new Trees.Tree()
    return Effect.gen(function* () {
      yield* Logs.day
      yield* tree.grow
      const store = yield* AuditStore
      const gone = StoreError.because({ store: "AuditStore", operation: "rows", problem: "unreachable" }, undefined)
      const failing = Layer.succeed(
        AuditStore,
        AuditStore.of({ ...store, head: () => Effect.fail(gone), rows: () => Stream.fail(gone) })
      )
      const evidence = Bundles.layer.pipe(
        Layer.provide(Compliance.layer),
        Layer.provide(Layer.merge(tree.layer(), BundleKeySource.layerNone)),
        Layer.provide(AuditModule.layerWith().pipe(Layer.provide(failing)))
      )
      const archive = yield* written().pipe(Effect.provide(evidence, { local: true }))
      const files = Result.getOrThrow(readZip(archive))
      for (const said of [
        JSON.parse(textOf(files, "report.json")),
        JSON.parse(textOf(files, "manifest.json")).bundle
      ]) {
        assert.strictEqual(said.chainVerificationError, "reading the chains failed")
        assert.strictEqual(said.chainIntegrityStatus, "unverified")
      }
      assert.include(textOf(files, "report.md"), "Could not be done: reading the chains failed")
      // What the exporter could not read a stranger still can: the rows are all there.
      assert.deepStrictEqual(verdicts(archive), ["ok", "ok"])
    }).pipe(Effect.provide(over(tree.layer())))
  })

  it.effect("its HMAC is that of the audit secret over facts, algorithm and key (CMP-12)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const { bundle, signatures } = JSON.parse(textOf(Result.getOrThrow(readZip(yield* written())), "manifest.json"))
      const keys = yield* ChainKeys.ChainKeys
      const [hmac] = signatures
      assert.strictEqual(hmac.algorithm, "HMAC-SHA256")
      assert.strictEqual(hmac.keyFingerprint, keys.fingerprint)
      const expected = keys.macOf("bundle")(bundleLabels.mac + signedText(bundle, hmac))
      assert.strictEqual(hmac.signature, Buffer.from(expected).toString("hex"))
    }).pipe(Effect.provide(over(CheckpointProofs.layerNone)))
  )

  it.effect("an HMAC that was changed is nobody's to notice without the secret, and the verdict says so (L-10)", () =>
    Effect.gen(function* () {
      const { files } = yield* made
      const changed = json(files, "manifest.json", (manifest) => ({
        ...manifest,
        signatures: manifest.signatures.map((one: { algorithm: string }) =>
          one.algorithm === "Ed25519" ? one : { ...one, signature: "00".repeat(32) }
        )
      }))
      assert.deepStrictEqual(verdicts(zip(changed)), ["ok", "ok"])
      const verdict = Result.getOrThrow(verifyBundle(zip(changed), Trees.key))
      assert.isTrue(verdict.notCovered.some((text) => text.includes("only the holder of the audit secret")))
    })
  )

  it.effect(
    "rows of an agent with control characters, HTML and bidi stay rows, and the bundle stays whole (T-13)",
    () => {
      const tree = new Trees.Tree()
      return Effect.gen(function* () {
        const audit = yield* Audit
        for (const text of ["\u202eevil", "\u0000\ud800", "<script>alert(1)</script>", "$sealed", "\u2028"]) {
          yield* audit.log({ kind: "note", agentId: "a", metadata: { reason: text, [text]: text } })
        }
        yield* tree.grow
        assert.deepStrictEqual(verdicts(yield* written()), ["ok", "ok"])
      }).pipe(Effect.provide(over(tree.layer())))
    }
  )

  it("the stand-alone verifier is one short file that a stranger can read, with nothing but Node (BEY-04)", () => {
    const text = readFileSync("examples/verify-bundle.mjs", "utf8")
    assert.isBelow(text.split("\n").length, 200)
    const imported = [...text.matchAll(/(?:from|import|require)\s*\(?\s*"([^"]+)"/g)].map(([, name]) => name)
    assert.deepStrictEqual(imported, ["node:assert", "node:crypto", "node:fs", "node:zlib"])
  })

  it("the stand-alone verifier is a program: verdict, exit code, and usage for what is no archive", {
    timeout: 60_000
  }, () => {
    const directory = mkdtempSync(join(tmpdir(), "evidence-"))
    const run = (...args: ReadonlyArray<string>) =>
      spawnSync(process.execPath, ["examples/verify-bundle.mjs", ...args], { encoding: "utf8" })
    const keyText = (key: NoteKey) => formatVerifierKey(key, sha256)
    return Effect.runPromise(made).then(({ archive }) => {
      const file = join(directory, "evidence.zip")
      writeFileSync(file, archive)
      assert.strictEqual(run(file, "--checkpoint-key", keyText(Trees.key)).status, 0)
      assert.strictEqual(run(file, "--checkpoint-key", keyText(Trees.keyOf(9))).status, 3)
      assert.strictEqual(run(file).status, 4)
      const none = run(join(directory, "none.zip"))
      assert.deepStrictEqual(
        [none.status, none.stdout],
        [2, `verdict: ${join(directory, "none.zip")} cannot be read\n`]
      )
      assert.match(run().stdout, /^verdict: usage/)
      writeFileSync(file, archive.subarray(1))
      const broken = run(file)
      assert.strictEqual(broken.status, 1)
      assert.include(broken.stdout, "verdict: tampered")
      rmSync(directory, { recursive: true })
    })
  })
})
