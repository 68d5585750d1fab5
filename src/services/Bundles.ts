// The bundle is hashed while it is written: only Node's own hash can be fed piece by piece.
import { createHash } from "node:crypto"
import { Clock, Context, Effect, Layer, Schema, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"
import {
  type BundleChain,
  type BundleFacts,
  BundleForm,
  type BundleKeys,
  type BundleManifest,
  type BundleSignature,
  bundleLabels,
  bundleLine,
  fingerprintUnder,
  manifestName,
  type SignedBy,
  signedText
} from "../schema/Bundle.ts"
import { bundleCover } from "../schema/BundleCover.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import { EventId, OperatorId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { NotRecorded } from "../schema/NotRecorded.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import type { Verification } from "../schema/ReportAssembly.ts"
import { reportHtml } from "../schema/ReportHtml.ts"
import { reportJson, reportMarkdown } from "../schema/ReportText.ts"
import { formatVerifierKey } from "../schema/SignedNote.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { AuditStore } from "./AuditStore.ts"
import { type BundleContainer, containerOf } from "./BundleContainer.ts"
import { BundleKeySource } from "./BundleKeySource.ts"
import { factsOf, proofsOf, verificationOf } from "./BundleParts.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { sha256 } from "./CheckpointKey.ts"
import { CheckpointProofs } from "./CheckpointProofs.ts"
import { Compliance, type Examined, type ReportRequest } from "./Compliance.ts"
import * as PooledRandom from "./PooledRandom.ts"

/** Makes evidence bundles: rows, report, proofs and keys in one file that a stranger can check (BEY-04, CMP-12, CMP-13, V8-08). */
export class Bundles extends Context.Service<
  Bundles,
  {
    /**
     * Writes the bundle to `sink`, piece by piece, then records the export in chain `operator` (CMP-12). The same rows and
     * keys give the same bytes. A verification that fails is part of the bundle; storage that fails ends the export.
     */
    readonly write: <E, R>(
      request: BundleRequest,
      sink: (piece: Uint8Array) => Effect.Effect<void, E, R>
    ) => Effect.Effect<ExportedBundle, InvalidInput | NotRecorded | StoreError | E, R>
  }
>()("effect-governance/services/Bundles") {}

/** What was written, and what the verification of its chains found meanwhile. */
export interface ExportedBundle extends BundleManifest {
  readonly verification: Verification | null
}

export interface BundleRequest extends Omit<ReportRequest, "verifyChain"> {
  /** Who exports. It goes into the audit log. */
  readonly by: string
  /** `zip` (default): an archive with pages for people. `json`: one line of JSON, of rows up to 100 MB (CMP-12). */
  readonly form?: BundleForm | undefined
}

export const make = Effect.gen(function* () {
  const store = yield* AuditStore
  const keys = yield* ChainKeys
  const checkpoints = yield* CheckpointProofs
  const keySource = yield* BundleKeySource
  const compliance = yield* Compliance
  const random = yield* SecureRandom.SecureRandom

  /** Read for each bundle: keys may change while the process runs. */
  const publicKeyOf = (signer: Signer): BundleKeys["checkpoint"] =>
    signer === null
      ? null
      : {
          fingerprint: fingerprintUnder(bundleLabels.checkpointKey, signer.publicKey, keys.hash),
          publicKey: Hex.encode(signer.publicKey),
          verifierKey: formatVerifierKey(signer, sha256)
        }

  const agentKeys = Effect.fnUntraced(function* (signers: ReadonlySet<string>) {
    const known = signers.size === 0 ? [] : yield* keySource.agentKeys
    return known.filter((key) => signers.has(key.fingerprint))
  })

  const sign = (bundle: BundleFacts, signer: Signer): BundleManifest => {
    const signatures = bundle.signedBy.map((by): BundleSignature => {
      const text = signedText(bundle, by)
      const signature =
        by.algorithm === "Ed25519" && signer !== null
          ? signer.sign(utf8.encode(bundleLabels.signature + text))
          : keys.macOf("bundle")(bundleLabels.mac + text)
      return { ...by, hash: Hex.encode(keys.hash(bundleLabels.hash + text)), signature: Hex.encode(signature) }
    })
    return { bundle, signatures }
  }

  const write = Effect.fn("Bundles.write")(function* <E, R>(
    { by, form = "zip", ...request }: BundleRequest,
    sink: (piece: Uint8Array) => Effect.Effect<void, E, R>
  ) {
    const operator = yield* decodeArgument(OperatorId, "by", by)
    if (!isForm(form)) return yield* new InvalidInput({ field: "form", problem: "must be zip or json" })
    const examined = yield* compliance.examine({ ...request, verifyChain: true })
    const { checkpoint, leaves, report } = examined
    const proofs = checkpoint === null ? [] : yield* checkpoints.prove(checkpoint.body.size, leaves)
    const signer = yield* checkpoints.signer
    const publicKey = publicKeyOf(signer)
    const container = containerOf(form)
    const files: Array<BundleFacts["files"][number]> = []
    const flush = Effect.suspend(() => Effect.forEach(container.take(), sink, { discard: true }))
    const add = (name: string, text: string) => {
      const bytes = utf8.encode(text)
      files.push({ name, bytes: bytes.length, sha256: Hex.encode(sha256(bytes)) })
      return bytes
    }
    const put = (name: string, bytes: Uint8Array) => {
      const file = container.file(name)
      file.push(bytes)
      file.end()
      return flush
    }

    // In order of name, as an archive of the same files made by anybody else would have them.
    if (form === "json") {
      const name = "chainVerification.json"
      yield* put(name, add(name, jsonText(verificationOf(examined))))
    }
    if (checkpoint !== null) yield* put("checkpoint.txt", add("checkpoint.txt", checkpoint.note))
    if (form === "zip") yield* put("cover.html", add("cover.html", bundleCover(report, publicKey?.verifierKey ?? null)))
    const events = yield* writeEvents(container, examined, flush)
    files.push(events.file)
    yield* put(
      "keys.json",
      add("keys.json", jsonText({ agents: yield* agentKeys(events.signers), checkpoint: publicKey }))
    )
    const rest = [
      ["proofs.json", jsonText(proofsOf(examined, proofs))],
      ...(form === "zip" ? [["report.html", reportHtml(report)] as const] : []),
      ["report.json", reportJson(report)],
      ...(form === "zip" ? [["report.md", reportMarkdown(report)] as const] : [])
    ] as const
    const made = rest.map(([name, text]) => [name, add(name, text)] as const)
    // Only now, and in one breath with signing: the secret may have been rotated while the rows were read.
    const signedBy: ReadonlyArray<SignedBy> = [
      ...(publicKey === null ? [] : [{ algorithm: "Ed25519" as const, keyFingerprint: publicKey.fingerprint }]),
      { algorithm: "HMAC-SHA256" as const, keyFingerprint: keys.fingerprint }
    ]
    const manifest = sign(factsOf(examined, events.chains, files, signedBy), signer)
    const text = utf8.encode(jsonText(manifest))
    yield* put(manifestName, text)
    for (const [name, bytes] of made) yield* put(name, bytes)
    container.end()
    yield* flush
    yield* record(operator, manifest, Hex.encode(sha256(text)))
    return { ...manifest, verification: examined.verification } satisfies ExportedBundle
  })

  const writeEvents = Effect.fnUntraced(function* <E, R>(
    container: BundleContainer,
    { parts }: Examined,
    flush: Effect.Effect<void, E, R>
  ) {
    const file = container.file("events.jsonl")
    const digest = createHash("sha256")
    const signers = new Set<string>()
    const chains: Array<BundleChain> = []
    let bytes = 0
    for (const { chain, toSeq } of parts) {
      let first = 0
      let rows = 0
      yield* Stream.runForEachArray(store.rows(chain, { toSeq }), (page) =>
        Effect.suspend((): Effect.Effect<void, E | InvalidInput, R> => {
          first ||= page[0]?.seq ?? 0
          rows += page.length
          for (const row of page) if (row.signer !== null) signers.add(row.signer)
          const lines = utf8.encode(page.map(bundleLine).join(""))
          bytes += lines.length
          if (bytes > container.maxEventBytes) return Effect.fail(tooLarge(container.maxEventBytes))
          digest.update(lines)
          file.push(lines)
          return flush
        })
      )
      chains.push({ chain, firstSeq: first, lastSeq: toSeq, rows })
    }
    file.end()
    yield* flush
    return { file: { name: "events.jsonl", bytes, sha256: digest.digest("hex") }, chains, signers }
  })

  /** The export is evidence too: without its row there is no export. */
  const record = Effect.fnUntraced(function* (by: OperatorId, { bundle }: BundleManifest, manifest: string) {
    const id = EventId.make(yield* random.uuidV7())
    const draft = operatorDraft(id, yield* Clock.currentTimeMillis, "compliance.bundle_exported", {
      by,
      manifest,
      reportId: bundle.reportId,
      rows: bundle.rows,
      chains: bundle.chains.length,
      checkpointSize: bundle.covers?.size ?? null
    })
    yield* store.append({ ...draft, outputHash: manifest })
  })

  return Bundles.of({ write })
})

export const layer = Layer.effect(Bundles, make).pipe(Layer.provide(PooledRandom.layer))

const utf8 = new TextEncoder()
const isForm = Schema.is(BundleForm)
const jsonText = (value: Parameters<typeof canonicalize>[0]) => `${canonicalize(value)}\n`

const tooLarge = (bytes: number) =>
  new InvalidInput({
    field: "scope",
    problem: `has more than ${bytes / 1_000_000} MB of rows, which is all that a bundle of this form holds; export sessions one by one`
  })

type Signer = Effect.Success<CheckpointProofs["Service"]["signer"]>
