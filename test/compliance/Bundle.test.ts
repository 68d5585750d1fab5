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
import * as Logs from "./Logs.ts"
import { drop, type Files, json, put, resign, rewritten, rows, textOf, zip } from "./Tampering.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

const over = (proofs: Layer.Layer<CheckpointProofs.CheckpointProofs>) =>
  Bundles.layer.pipe(
    Layer.provideMerge(Compliance.layer),
    Layer.provide(Layer.merge(proofs, BundleKeySource.layerNone)),
    Layer.provideMerge(Logs.log)
  )

const written = (request: Partial<Bundles.BundleRequest> = {}) =>
  Effect.gen(function* () {
    const bundles = yield* Bundles.Bundles
    const pieces: Array<Uint8Array> = []
    yield* bundles.write({ by: "alice", ...request }, (piece) => Effect.sync(() => void pieces.push(piece)))
    return new Uint8Array(Buffer.concat(pieces))
  })

/** A bundle of a day, whose last two rows came after the checkpoint. */
const made = Effect.gen(function* () {
  const tree = new Trees.Tree()
  return yield* Effect.provide(
    Effect.gen(function* () {
      yield* Logs.day
      yield* tree.grow
      const earlier = tree.note()
      yield* Logs.call(19)
      yield* tree.grow
      yield* Logs.call(20)
      const archive = yield* written()
      return { archive, earlier, files: Result.getOrThrow(readZip(archive)) }
    }),
    over(tree.layer())
  )
})

type Tampering = readonly [what: string, change: (files: Files, earlier: string) => Files | Uint8Array]

const at =
  (n: number, change: (row: Record<string, any>) => Record<string, any>) => (all: Array<Record<string, any>>) =>
    all.map((row, i) => (i === n ? change(row) : row))

const session = (all: Array<Record<string, any>>) => all.findIndex(({ chain }) => chain === "session:order-4711")

/** What somebody does who cannot sign: the manifest or a hash gives it away. */
const withoutKey: ReadonlyArray<Tampering> = [
  ...["checkpoint.txt", "cover.html", "events.jsonl", "keys.json", "manifest.json", "proofs.json"]
    .concat(["report.html", "report.json", "report.md"])
    .flatMap(
      (name): ReadonlyArray<Tampering> => [
        [`${name} is taken away`, (files) => drop(files, name)],
        [`${name} is emptied`, (files) => put(files, name, "")],
        [`a bit of ${name} is turned at its middle`, (files) => put(files, name, flipped(files.get(name)!, 0.5))],
        [`a bit of ${name} is turned near its end`, (files) => put(files, name, flipped(files.get(name)!, 0.9))],
        [`${name} gets one more line`, (files) => put(files, name, `${textOf(files, name)}{}\n`)]
      ]
    ),
  ["a file is added", (files) => put(files, "extra.txt", "hello")],
  [
    "an earlier checkpoint of the same key stands in for the right one",
    (files, earlier) => put(files, "checkpoint.txt", earlier)
  ],
  [
    "a signature is stripped from the manifest",
    (files) => json(files, "manifest.json", (m) => ({ ...m, signatures: [] }))
  ],
  [
    "both the signature and its mention are stripped",
    (files) => json(files, "manifest.json", (m) => ({ bundle: { ...m.bundle, signedBy: [] }, signatures: [] }))
  ],
  [
    "the Ed25519 signature is called an HMAC",
    (files) =>
      json(files, "manifest.json", (m) => ({
        ...m,
        signatures: m.signatures.map((one: object) => ({ ...one, algorithm: "HMAC-SHA256" }))
      }))
  ],
  [
    "the manifest says less is not covered",
    (files) => json(files, "manifest.json", (m) => ({ ...m, bundle: { ...m.bundle, notCovered: [] } }))
  ],
  ["the archive is cut off", (files) => zip(files).subarray(0, -1)],
  ["the archive begins with other bytes", (files) => Buffer.concat([Buffer.from("MZ"), zip(files)])],
  ["nothing is left", () => new Uint8Array(0)]
]

/** What the holder of the key himself cannot do without being found out: the rows and the checkpoint speak for themselves. */
const withKey: ReadonlyArray<Tampering> = [
  [
    "a row is removed from the middle",
    (files) => resign(rows(files, (all) => all.filter((_, i) => i !== session(all) + 2)))
  ],
  ["two rows change places", (files) => resign(rows(files, (all) => swap(all, session(all) + 1, session(all) + 2)))],
  [
    "two rows change numbers",
    (files) =>
      resign(
        rows(files, (all) => all.map((row, i) => (i === 1 ? { ...row, seq: 2 } : i === 2 ? { ...row, seq: 1 } : row)))
      )
  ],
  ["the first row is removed", (files) => resign(rows(files, (all) => all.filter((_, i) => i !== session(all))))],
  ["a row stands there twice", (files) => resign(rows(files, (all) => [...all, all[0]!]))],
  [
    "a row that the checkpoint knows is cut off at the end",
    (files) => {
      const cut = rows(files, (all) => all.filter(({ chain, seq }) => chain !== "session:order-4711" || seq < 8))
      return resign(cut, Trees.key, (bundle) => ({
        ...bundle,
        rows: bundle.rows - (bundle.chains.find(({ chain }) => chain === "session:order-4711")!.rows - 7),
        chains: bundle.chains.map((one) => (one.chain === "session:order-4711" ? { ...one, rows: 7, lastSeq: 7 } : one))
      }))
    }
  ],
  [
    "a whole session disappears",
    (files) => {
      const gone = rows(files, (all) => all.filter(({ chain }) => chain !== "session:mail-1"))
      return resign(gone, Trees.key, (bundle) => ({
        ...bundle,
        rows: bundle.rows - 2,
        chains: bundle.chains.filter(({ chain }) => chain !== "session:mail-1")
      }))
    }
  ],
  [
    "a text is changed",
    (files) =>
      resign(
        rows(
          files,
          at(1, (row) => ({ ...row, canonical: row.canonical.replace("refund", "rebate") }))
        )
      )
  ],
  [
    "a text is changed and hashed anew",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) =>
            rewritten(row, (said) => {
              said.kind = "tool.none"
            })
          )
        )
      )
  ],
  [
    "a last row is changed and hashed anew, so that every link fits",
    (files) =>
      resign(
        rows(files, (all) =>
          all.map((row, i) =>
            i + 1 < all.length && all[i + 1]!.chain === row.chain
              ? row
              : rewritten(row, (said) => {
                  said.model = "other"
                })
          )
        )
      )
  ],
  [
    "a column contradicts the text",
    (files) =>
      resign(
        rows(
          files,
          at(1, (row) => ({ ...row, id: "00000000-0000-4000-8000-000000000000" }))
        )
      )
  ],
  [
    "a text gets one more member",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) =>
            rewritten(row, (said) => {
              said.extra = 1
            })
          )
        )
      )
  ],
  [
    "a text is no longer canonical",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) => ({ ...row, canonical: ` ${row.canonical}` }))
        )
      )
  ],
  [
    "a line holds half a surrogate pair",
    (files) => resign(put(files, "events.jsonl", textOf(files, "events.jsonl").replace('"id":"', '"id":"\\ud800')))
  ],
  [
    "a text is no JSON",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) => ({ ...row, canonical: "{" }))
        )
      )
  ],
  [
    "a signature without a signer appears",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) => ({ ...row, signature: "00".repeat(64) }))
        )
      )
  ],
  [
    "a signature is stripped from a row that names a signer",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) => ({
            ...rewritten(row, (said) => {
              said.signer = "ab".repeat(32)
            }),
            signer: "ab".repeat(32)
          }))
        )
      )
  ],
  [
    "a note of another tree is put in",
    (files) => {
      const other = new Trees.Tree()
      other.leaves.push({ chain: "operator", seq: 1, hash: new Uint8Array(32) })
      other.size = 1
      return resign(put(files, "checkpoint.txt", other.note()))
    }
  ],
  [
    "an earlier note is put in and everything signed anew",
    (files, earlier) => resign(put(files, "checkpoint.txt", earlier))
  ],
  [
    "the note is signed by a stranger",
    (files) => {
      const stranger = Trees.keyOf(8)
      const [text] = textOf(files, "checkpoint.txt").split("\n\n")
      const signature = Buffer.concat([
        Buffer.from("f8c763c5", "hex"),
        Buffer.from(stranger.sign(new TextEncoder().encode(`${text}\n`)))
      ])
      return resign(
        put(files, "checkpoint.txt", `${text}\n\n\u2014 ${stranger.name} ${signature.toString("base64")}\n`)
      )
    }
  ],
  [
    "a proof is for another place",
    (files) =>
      resign(
        json(files, "proofs.json", (p) => ({
          ...p,
          leaves: p.leaves.map((leaf: any, i: number) => (i === 0 ? { ...leaf, index: leaf.index + 1 } : leaf))
        }))
      )
  ],
  [
    "a proof loses a node",
    (files) =>
      resign(
        json(files, "proofs.json", (p) => ({
          ...p,
          leaves: p.leaves.map((leaf: any) => ({ ...leaf, proof: leaf.proof.slice(1) }))
        }))
      )
  ],
  [
    "a leaf stands there twice",
    (files) => resign(json(files, "proofs.json", (p) => ({ ...p, leaves: [...p.leaves, p.leaves[0]] })))
  ],
  [
    "the report is another one under the same id",
    (files) => resign(json(files, "report.json", (r) => ({ ...r, coveragePct: 1 })))
  ],
  [
    "the manifest names a chain twice",
    (files) => resign(files, Trees.key, (b) => ({ ...b, chains: [...b.chains, b.chains[0]!] }))
  ],
  ["the manifest counts wrongly", (files) => resign(files, Trees.key, (b) => ({ ...b, rows: b.rows + 1 }))],
  ["the manifest forgets a file", (files) => resign(files, Trees.key, (b) => ({ ...b, files: b.files.slice(1) }))],
  [
    "the manifest is of another deployment",
    (files) => resign(files, Trees.key, (b) => ({ ...b, deploymentId: "other" }))
  ]
]

const flipped = (bytes: Uint8Array, where: number) => {
  const copy = Uint8Array.from(bytes)
  copy[Math.floor(copy.length * where)]! ^= 1
  return copy
}

const swap = (all: Array<Record<string, any>>, a: number, b: number) =>
  all.map((row, i) => (i === a ? all[b]! : i === b ? all[a]! : row))

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
    assert.deepStrictEqual(imported, ["node:crypto", "node:fs", "node:zlib"])
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
