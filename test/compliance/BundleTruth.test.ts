import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Result } from "effect"
import { signedText } from "../../src/schema/Bundle.ts"
import { filesOf } from "../../src/schema/BundleDocument.ts"
import { canonicalize as canonical } from "../../src/schema/CanonicalJson.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as BundleKeySource from "../../src/services/BundleKeySource.ts"
import * as Bundles from "../../src/services/Bundles.ts"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as CheckpointProofs from "../../src/services/CheckpointProofs.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import { readZip } from "../../src/services/ZipReader.ts"
import { readingTampered, tampered } from "../audit/Rig.ts"
import { newSecret } from "../rotation/Processes.ts"
import { makeBundle, over, written } from "./BundleRig.ts"
import * as Logs from "./Logs.ts"
import { document, json, resign, sha256, textOf, zip } from "./Tampering.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

const forms = ["zip", "json"] as const
const filesIn = (form: (typeof forms)[number], bytes: Uint8Array) =>
  Result.getOrThrow(form === "zip" ? readZip(bytes) : filesOf(bytes))
const pack = { zip, json: document }

describe("what a bundle says of itself", () => {
  it.effect(
    "is never ok when its maker found the chains tampered with, though a stranger cannot see it (L-10, CMP-02)",
    () => {
      const tree = new Trees.Tree()
      // Whoever has not the secret can hash a row anew, not seal it: only the holder of the secret sees that.
      const forged = {
        row: (row: { readonly seq: number }) => (row.seq === 3 ? { ...row, hmac: new Uint8Array(32) } : row) as never
      }
      return Effect.gen(function* () {
        yield* Logs.day
        yield* tree.grow
        const store = yield* tampered(forged)
        const evidence = Bundles.layer.pipe(
          Layer.provide(Compliance.layer),
          Layer.provide([tree.layer(), BundleKeySource.layerNone, Layer.succeed(AuditStore, store)])
        )
        for (const form of forms) {
          const bytes = yield* written({ form }).pipe(
            Effect.provide(evidence, { local: true }),
            readingTampered(forged)
          )
          assert.deepStrictEqual(verdicts(bytes), ["tampered", "tampered"], form)
          const { exporterFound, problems } = Result.getOrThrow(verifyBundle(bytes, Trees.key))
          assert.strictEqual(exporterFound, "failed")
          assert.deepStrictEqual(problems, [
            "report.json: whoever made this bundle found its chains tampered with, and says where"
          ])
          const report = JSON.parse(textOf(filesIn(form, bytes), "report.json"))
          assert.isNotEmpty(report.chainFindings)
        }
      }).pipe(Effect.provide(Logs.log))
    }
  )

  it.effect("names what lies behind the checkpoint by the rows themselves, whatever the report says of it (L-10)", () =>
    Effect.gen(function* () {
      for (const form of forms) {
        const { archive } = yield* makeBundle(form)
        // The holder of the key leaves the gaps out of report and manifest alike.
        const silent = json(filesIn(form, archive), "report.json", ({ reportId: _, ...report }) => {
          const said = { ...report, notCovered: [] }
          return { ...said, reportId: sha256(`effect-governance/report/v1/hash\n${canonical(said)}`) }
        })
        const { coverageCaveat, reportId } = JSON.parse(textOf(silent, "report.json"))
        const bytes = pack[form](resign(silent, Trees.key, (b) => ({ ...b, reportId, notCovered: [coverageCaveat] })))
        assert.deepStrictEqual(verdicts(bytes), ["ok", "ok"])
        const { notCovered } = Result.getOrThrow(verifyBundle(bytes, Trees.key))
        assert.isTrue(
          notCovered.some((text) => text.startsWith("What came after the checkpoint") && text.includes(" 2 "))
        )
        assert.isTrue(notCovered.some((text) => text.includes("only the holder of the audit secret")))
      }
    })
  )

  it.effect("says of rows whose keys were not at hand that nobody judged who wrote them (L-10, K-06)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const store = Layer.succeed(AuditStore, yield* AuditStore)
      const other = ChainKeys.layer({ secret: Redacted.make(newSecret()), ephemeralAllowed: false })
      const report = yield* Compliance.Compliance.use((compliance) =>
        compliance.generateArticle12({ verifyChain: true })
      ).pipe(Effect.provide(Logs.reading(store, Layer.orDie(other)), { local: true }))
      assert.strictEqual(report.chainIntegrityStatus, "unverified")
      assert.isTrue(
        report.notCovered.some((text) => /^Who wrote 13 of the rows: they were sealed or signed/.test(text)),
        report.notCovered.join("\n")
      )
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect(
    "is signed under the secret that is current when it is signed, also when that changes meanwhile (CMP-12, ROT-01)",
    () =>
      Effect.gen(function* () {
        yield* Logs.day
        const keys = yield* ChainKeys.ChainKeys
        const before = keys.fingerprint
        const next = Result.getOrThrow(keys.ring.learn(Redacted.make(newSecret())))
        const bundles = yield* Bundles.Bundles
        const pieces: Array<Uint8Array> = []
        // The first piece of an archive is written long before its manifest.
        yield* bundles.write({ by: "alice" }, (piece) =>
          Effect.sync(() => {
            keys.ring.switchTo(next)
            pieces.push(piece)
          })
        )
        const { bundle, signatures } = JSON.parse(textOf(filesIn("zip", Buffer.concat(pieces)), "manifest.json"))
        const [hmac] = signatures
        assert.notStrictEqual(keys.fingerprint, before)
        assert.strictEqual(hmac.keyFingerprint, keys.fingerprint)
        const expected = keys.macOf("bundle")(`effect-governance/bundle/v1/hmac\n${signedText(bundle, hmac)}`)
        assert.strictEqual(hmac.signature, Buffer.from(expected).toString("hex"))
      }).pipe(Effect.provide(over(CheckpointProofs.layerNone)))
  )
})
