// biome-ignore-all lint/suspicious/noExplicitAny: what is tampered with has no shape
import { createHash, createHmac } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import canonicalize from "canonicalize"
import { Effect, Layer, Result, Stream } from "effect"
import { filesOf, maxDocumentEvents } from "../../src/schema/BundleDocument.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import * as AuditModule from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { containerOf } from "../../src/services/BundleContainer.ts"
import * as BundleKeySource from "../../src/services/BundleKeySource.ts"
import * as Bundles from "../../src/services/Bundles.ts"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import { makeBundle, over, written } from "./BundleRig.ts"
import { withKey } from "./BundleTamperings.ts"
import * as Logs from "./Logs.ts"
import { bytesOf, document, resign } from "./Tampering.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const said = (bytes: Uint8Array) => JSON.parse(textOf(bytes))
const sha = (text: string) => createHash("sha256").update(text).digest("hex")
const made = Effect.map(makeBundle("json"), ({ archive, earlier }) => ({
  bytes: archive,
  earlier,
  files: Result.getOrThrow(filesOf(archive))
}))

/** The same document with other members, canonical again. */
const changed = (bytes: Uint8Array, change: (value: any) => unknown) =>
  bytesOf(`${canonicalize(change(said(bytes)))}\n`)

/** What somebody does to the line itself who cannot sign. */
const withoutKey: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  "the line break at the end is gone": (bytes) => bytes.subarray(0, -1),
  "the end is cut off": (bytes) => bytes.subarray(0, 2000),
  "something follows": (bytes) => bytesOf(`${textOf(bytes)}\n`),
  "another bundle follows": (bytes) => bytesOf(textOf(bytes).repeat(2)),
  "it is nothing but a brace": () => bytesOf("{"),
  "it is an empty object": () => bytesOf("{}\n"),
  "a mark of byte order stands before it": (bytes) => bytesOf(`\ufeff${textOf(bytes)}`),
  "it is written with spaces": (bytes) => bytesOf(`${JSON.stringify(said(bytes), null, 1)}\n`),
  "a member is told twice": (bytes) => bytesOf(textOf(bytes).replace('{"bundle":', '{"bundle":null,"bundle":')),
  "it is nested without end": () => bytesOf(`{"bundle":${"[".repeat(200_000)}${"]".repeat(200_000)}}\n`),
  "it is no UTF-8": (bytes) => Uint8Array.from(bytes, (byte, i) => (i === 500 ? 0xff : byte)),
  "a member is added": (bytes) => changed(bytes, (one) => ({ ...one, note: "all is well" })),
  "a manifest is added": (bytes) => changed(bytes, (one) => ({ ...one, manifest: { bundle: one.bundle } })),
  "a prototype is added": (bytes) => bytesOf(textOf(bytes).replace('{"bundle":', '{"__proto__":{},"bundle":')),
  "the signature gets one more member": (bytes) =>
    changed(bytes, (one) => ({ ...one, publicSignature: { ...one.publicSignature, by: "me" } })),
  "the HMAC gets one more member": (bytes) =>
    changed(bytes, (one) => ({ ...one, bundleSignature: { ...one.bundleSignature, hash: one.bundleHash } })),
  "the HMAC is no text": (bytes) =>
    changed(bytes, (one) => ({ ...one, bundleSignature: { ...one.bundleSignature, signature: 5 } })),
  "the HMAC is empty": (bytes) =>
    changed(bytes, (one) => ({ ...one, bundleSignature: { ...one.bundleSignature, signature: "" } })),
  "another algorithm is named for the HMAC": (bytes) =>
    changed(bytes, (one) => ({ ...one, bundleSignature: { ...one.bundleSignature, algorithm: "HMAC-MD5" } })),
  "another key is named for the HMAC": (bytes) =>
    changed(bytes, (one) => ({ ...one, bundleSignature: { ...one.bundleSignature, keyFingerprint: "ab".repeat(32) } })),
  "the signature is taken away": (bytes) => changed(bytes, (one) => ({ ...one, publicSignature: null })),
  "the signature is false": (bytes) => changed(bytes, (one) => ({ ...one, publicSignature: false })),
  "the checkpoint is its bytes": (bytes) =>
    changed(bytes, (one) => ({ ...one, checkpoint: [...bytesOf(one.checkpoint)] })),
  "the rows are no list": (bytes) => changed(bytes, (one) => ({ ...one, events: { ...one.events } })),
  ...Object.fromEntries(
    ["bundleHash", "chainVerification", "checkpoint", "events", "keys", "proofs", "report"].flatMap((name) => [
      [`${name} is null`, (bytes: Uint8Array) => changed(bytes, (one) => ({ ...one, [name]: null }))],
      [
        `${name} is missing`,
        (bytes: Uint8Array) =>
          changed(bytes, (one) => Object.fromEntries(Object.entries(one).filter(([key]) => key !== name)))
      ]
    ])
  )
}

describe("an evidence bundle in JSON", () => {
  it.effect(
    "is checked by a third party with the published key alone: no archive, database or secret (CMP-12, V8-08)",
    () =>
      Effect.gen(function* () {
        const { bytes } = yield* made
        assert.deepStrictEqual(verdicts(bytes), ["ok", "ok"])
        assert.deepStrictEqual(verdicts(bytes, null), ["unverifiable", "unverifiable"])
        assert.deepStrictEqual(verdicts(bytes, Trees.keyOf(9)), ["otherIdentity", "otherIdentity"])
        const verdict = Result.getOrThrow(verifyBundle(bytes, Trees.key))
        assert.deepStrictEqual([verdict.rows, verdict.covers?.size, verdict.exporterFound], [17, 5, "verified"])
      })
  )

  it.effect("combines report and chain verification under one hash and one HMAC over algorithm and key (CMP-12)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const bytes = yield* written({ form: "json" })
      const found = said(bytes)
      assert.strictEqual(textOf(bytes), `${canonicalize(found)}\n`)
      assert.deepStrictEqual(Object.keys(found), [
        ...["bundle", "bundleHash", "bundleSignature", "chainVerification", "checkpoint"],
        ...["events", "keys", "proofs", "publicSignature", "report"]
      ])
      assert.strictEqual(found.report.sections.length, 7)
      assert.isTrue(found.chainVerification.authenticated)
      assert.sameMembers(
        found.chainVerification.chains.map(({ chain, verdict }: any) => `${chain} ${verdict}`),
        found.bundle.chains.map(({ chain }: any) => `${chain} ok`)
      )
      assert.deepStrictEqual(Object.keys(found.bundleSignature), ["algorithm", "keyFingerprint", "signature"])
      const { algorithm, keyFingerprint, signature } = found.bundleSignature
      const text = canonicalize({ algorithm, bundle: found.bundle, keyFingerprint })
      assert.strictEqual(found.bundleHash, sha(`effect-governance/bundle/v1/hash\n${text}`))
      const keys = yield* ChainKeys.ChainKeys
      assert.deepStrictEqual([algorithm, keyFingerprint], ["HMAC-SHA256", keys.fingerprint])
      const hmac = createHmac("sha256", keys.deriveKey("bundle")).update(`effect-governance/bundle/v1/hmac\n${text}`)
      assert.strictEqual(signature, hmac.digest("hex"))
      const store = yield* AuditStore
      assert.strictEqual((yield* store.find({ kinds: ["compliance.bundle_exported"] })).length, 1)
    }).pipe(Effect.provide(over(new Trees.Tree().layer())))
  )

  it.effect("the same rows give the same bytes, and the files in it are those of an archive (CMP-12)", () => {
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
      const [one, two, zip] = yield* Effect.all([
        written({ form: "json" }),
        written({ form: "json" }),
        written({ form: "zip" })
      ]).pipe(Effect.provide(frozen, { local: true }))
      assert.deepStrictEqual(one, two)
      const [inJson, inZip] = [one, zip].map((bytes) => Result.getOrThrow(verifyBundle(bytes, Trees.key)))
      assert.deepStrictEqual(inJson, inZip)
      assert.deepStrictEqual(Buffer.from(document(Result.getOrThrow(filesOf(one)))), Buffer.from(one))
    }).pipe(Effect.provide(over(tree.layer())))
  })

  it.effect("a verification that storage ends is told in it, and it is made all the same (CMP-12)", () => {
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
      const bytes = yield* written({ form: "json" }).pipe(Effect.provide(evidence, { local: true }))
      const { bundle, chainVerification } = said(bytes)
      assert.strictEqual(bundle.chainVerificationError, "reading the chains failed")
      assert.deepStrictEqual(chainVerification, { authenticated: false, breaks: 0, chains: [], findings: [] })
      assert.deepStrictEqual(verdicts(bytes), ["ok", "ok"])
      const { notCovered } = Result.getOrThrow(verifyBundle(bytes, Trees.key))
      assert.include(notCovered, "The chains could not be verified for this report: reading the chains failed.")
    }).pipe(Effect.provide(over(tree.layer())))
  })

  it.effect("whoever changes it without the key is found out by both verifiers, whatever he changes", () =>
    Effect.gen(function* () {
      const { bytes } = yield* made
      for (const [what, change] of Object.entries(withoutKey)) {
        const other = change(bytes)
        assert.notDeepEqual(Buffer.from(other), Buffer.from(bytes), what)
        assert.deepStrictEqual(verdicts(other), ["tampered", "tampered"], what)
      }
    })
  )

  it.effect(
    "one bit anywhere is noticed by both, but in the HMAC, which only the holder of the secret can check (L-10)",
    () =>
      Effect.gen(function* () {
        const { bytes } = yield* made
        const { signature } = said(bytes).bundleSignature
        const hmacAt = textOf(bytes).indexOf(signature)
        for (let at = 0; at < bytes.length; at += 211) {
          if (at >= hmacAt && at < hmacAt + signature.length) continue
          const other = Uint8Array.from(bytes)
          other[at]! ^= 1
          assert.deepStrictEqual(verdicts(other), ["tampered", "tampered"], `byte ${at}`)
        }
      })
  )

  it.effect("rows and checkpoint contradict even the holder of the key, in both verifiers (V8-08)", () =>
    Effect.gen(function* () {
      const { earlier, files } = yield* made
      assert.deepStrictEqual(verdicts(document(resign(files))), ["ok", "ok"])
      let tried = 0
      for (const [what, change] of withKey) {
        const other = change(files, earlier)
        assert.isFalse(other instanceof Uint8Array)
        // What cannot be written as canonical JSON at all cannot be in a document.
        const bytes = Result.try(() => document(other as typeof files))
        if (Result.isFailure(bytes)) continue
        tried++
        assert.deepStrictEqual(verdicts(bytes.success), ["tampered", "tampered"], what)
      }
      assert.isAtLeast(tried, withKey.length - 2)
    })
  )

  it.effect("is refused when it is too large to be held, before it is read; and no larger one is written", () =>
    Effect.gen(function* () {
      const { bytes } = yield* made
      assert.isTrue(Result.isFailure(filesOf(bytes, bytes.length - 1)))
      assert.isTrue(Result.isSuccess(filesOf(bytes, bytes.length)))
      assert.strictEqual(containerOf("json").maxEventBytes, maxDocumentEvents)
      assert.isAbove(containerOf("zip").maxEventBytes, maxDocumentEvents)
    })
  )

  it.effect("a form that there is not is an error before anything is read (bad input)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(written({ form: "pdf" as "zip" }))
      assert.strictEqual((error as { _tag: string })._tag, "InvalidInput")
      assert.include((error as { message: string }).message, "form")
    }).pipe(Effect.provide(over(new Trees.Tree().layer())))
  )
})
