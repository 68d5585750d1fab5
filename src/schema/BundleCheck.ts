import { Option, Result, Schema } from "effect"
import { Hex } from "effect/encoding"
import {
  type BundleFacts,
  type BundleForm,
  BundleKeys,
  BundleManifest,
  BundleProofs,
  bundleFiles,
  bundleLabels,
  fingerprintUnder,
  manifestName,
  signedText
} from "./Bundle.ts"
import { BundleChains } from "./BundleChains.ts"
import { checkReport } from "./BundleReport.ts"
import { canonicalFile, eachLine, textOf } from "./BundleText.ts"
import { type BundleVerdict, Findings } from "./BundleVerdict.ts"
import { leafHashOf, type NoteCrypto, noteStatus, originOf, parseCheckpoint } from "./Checkpoint.ts"
import { hexBytes } from "./HexBytes.ts"
import { type Sha256, verifyInclusion } from "./Merkle.ts"
import { formatVerifierKey, type NoteKey, parseVerifierKey } from "./SignedNote.ts"

/**
 * Everything that can be said of a bundle from its own bytes and, if there is one, a checkpoint key that came another way.
 * Needs no database and no secret (BEY-04). Never throws, whatever the bytes are.
 */
export const checkBundle = (
  files: ReadonlyMap<string, Uint8Array>,
  form: BundleForm,
  given: NoteKey | null,
  crypto: NoteCrypto
): BundleVerdict => {
  const found = new Findings()
  const hash = (text: string) => crypto.sha(utf8.encode(text))
  const manifest = manifestOf(files.get(manifestName))
  if (manifest === "newer") {
    found.missing.push("a verifier of a later version: this bundle says that it has another format")
    return verdictOf(found, null, null, null)
  }
  if (manifest === undefined) {
    found.problem("manifest.json: is missing, or is no manifest in canonical form")
    return verdictOf(found, null, null, null)
  }
  const { bundle } = manifest
  found.notCovered.push(...bundle.notCovered, needsSecret)
  checkFiles(files, bundle, form, found, crypto.sha)
  const keys = canonicalFile(files.get("keys.json"), BundleKeys)
  const proofs = canonicalFile(files.get("proofs.json"), BundleProofs)
  if (keys === undefined) found.problem("keys.json: cannot be read")
  if (proofs === undefined) found.problem("proofs.json: cannot be read")

  const own = keyOf(keys?.checkpoint ?? null, found, crypto.sha, hash)
  if (own === null) found.missing.push("a signature of the checkpoint key: nobody vouches for the bundle as a whole")
  if (given === null) {
    found.missing.push(
      "the checkpoint key from another source than this bundle: anybody can sign with a key of his own"
    )
  } else if (own !== null && !same(given, own)) {
    found.otherIdentity = true
    found.missing.push("a signature of the key that was given: the bundle names another")
  }
  checkSignatures(manifest, own, found, crypto, hash)
  checkNote(files.get("checkpoint.txt"), bundle, proofs ?? null, own ?? given, found, crypto)
  checkReport(files, bundle, found, hash)

  const chains = new BundleChains(proofs?.leaves ?? [], keys?.agents ?? [], found, { hash, verify: crypto.verify })
  const lines = eachLine(files.get("events.jsonl") ?? new Uint8Array(0), (line, number) => chains.visit(line, number))
  if (!lines) found.problem("events.jsonl: is no UTF-8 text in whole lines")
  chains.finish(bundle.chains, bundle.covers !== null)
  if (chains.rows !== bundle.rows) found.problem("events.jsonl: has another number of rows than the manifest")
  return verdictOf(found, bundle, chains, own === null ? null : formatVerifierKey(own, crypto.sha))
}

const verdictOf = (
  found: Findings,
  bundle: BundleFacts | null,
  chains: BundleChains | null,
  signedBy: string | null
): BundleVerdict => ({
  verdict: found.verdict,
  problems: found.problems,
  moreProblems: found.moreProblems,
  missing: found.missing,
  notCovered: found.notCovered,
  rows: chains?.rows ?? 0,
  chains: bundle?.chains.length ?? 0,
  signedRows: chains?.signedRows ?? 0,
  covers: bundle?.covers ?? null,
  exporterFound: bundle?.chainIntegrityStatus ?? null,
  signedBy
})

const checkFiles = (
  files: ReadonlyMap<string, Uint8Array>,
  bundle: BundleFacts,
  form: BundleForm,
  found: Findings,
  sha: Sha256
) => {
  const named = new Map(bundle.files.map((file) => [file.name, file]))
  if (named.size !== bundle.files.length) found.problem("manifest.json: names a file twice")
  for (const name of bundleFiles[form]) {
    if (!named.has(name) && (name !== "checkpoint.txt" || bundle.covers !== null))
      found.problem(`${name}: is not in the manifest`)
  }
  for (const name of named.keys()) {
    if (!bundleFiles[form].includes(name)) found.problem(`${name}: is in the manifest, and no bundle has it`)
  }
  for (const { bytes, name, sha256 } of named.values()) {
    const content = files.get(name)
    if (content === undefined) found.problem(`${name}: is missing`)
    else if (content.length !== bytes || Hex.encode(sha(content)) !== sha256) found.problem(`${name}: was changed`)
  }
  for (const name of files.keys()) {
    if (name !== manifestName && !named.has(name)) found.problem(`${name}: is not part of the bundle`)
  }
}

const checkSignatures = (
  { bundle, signatures }: BundleManifest,
  own: NoteKey | null,
  found: Findings,
  crypto: NoteCrypto,
  hash: (text: string) => Uint8Array
) => {
  const wanted = bundle.signedBy.map(({ algorithm, keyFingerprint }) => `${algorithm} ${keyFingerprint}`)
  const there = signatures.map(({ algorithm, keyFingerprint }) => `${algorithm} ${keyFingerprint}`)
  if (wanted.join() !== there.join()) found.problem("manifest.json: a signature is missing, or is one too many")
  for (const signature of signatures) {
    const text = signedText(bundle, signature)
    if (Hex.encode(hash(bundleLabels.hash + text)) !== signature.hash) found.problem("manifest.json: its hash is wrong")
    if (signature.algorithm !== "Ed25519") continue
    const bytes = Result.getOrUndefined(Hex.decode(signature.signature))
    const fits =
      own !== null &&
      fingerprintUnder(bundleLabels.checkpointKey, own.publicKey, hash) === signature.keyFingerprint &&
      bytes !== undefined &&
      crypto.verify(own.publicKey, utf8.encode(bundleLabels.signature + text), bytes)
    if (!fits) found.problem("manifest.json: its signature is wrong")
  }
  if (own !== null && !signatures.some(({ algorithm }) => algorithm === "Ed25519")) {
    found.problem("manifest.json: the checkpoint key has not signed it")
  }
}

const checkNote = (
  note: Uint8Array | undefined,
  { covers, deploymentId }: BundleFacts,
  proofs: BundleProofs,
  key: NoteKey | null,
  found: Findings,
  crypto: NoteCrypto
) => {
  if (covers === null) {
    if (note !== undefined || proofs !== null) found.problem("manifest.json: names no checkpoint, and there is one")
    found.missing.push("a checkpoint: nothing that left the database vouches for these rows")
    return
  }
  const text = note === undefined ? undefined : textOf(note)
  const parsed = text === undefined ? undefined : Result.getOrUndefined(parseCheckpoint(text))
  if (parsed === undefined) return found.problem("checkpoint.txt: is no checkpoint")
  const { body } = parsed
  const root = Hex.encode(body.root)
  if (body.origin !== covers.origin || body.size !== covers.size || root !== covers.root) {
    found.problem("checkpoint.txt: is another checkpoint than the manifest names")
  }
  if (proofs === null || proofs.origin !== body.origin || proofs.size !== body.size || proofs.root !== root) {
    found.problem("proofs.json: belongs to another checkpoint")
  }
  if (deploymentId !== null && originOf(deploymentId) !== body.origin) {
    found.problem("checkpoint.txt: is of another deployment")
  }
  // Without any key the note is not judged, and that nobody vouches for the bundle is said already.
  if (key !== null && (key.name !== body.origin || noteStatus(parsed, key, crypto) !== "valid")) {
    found.problem("checkpoint.txt: it is not signed by the checkpoint key")
  }
  const chains = new Set<string>()
  for (const { chain, hash, index, proof, seq } of proofs?.leaves ?? []) {
    if (chains.has(chain)) found.problem(`proofs.json: ${chain} stands there twice`)
    chains.add(chain)
    const leafHash = leafHashOf({ chain, seq, hash: hexBytes(hash) }, crypto.sha)
    const claim = { index, size: body.size, leafHash, proof: proof.map(hexBytes), root: body.root }
    if (!verifyInclusion(claim, crypto.sha)) found.problem(`proofs.json: ${chain} is not in the checkpoint`)
  }
}

/** The key that the bundle names, if its three spellings agree. */
const keyOf = (
  named: BundleKeys["checkpoint"],
  found: Findings,
  sha: Sha256,
  hash: (text: string) => Uint8Array
): NoteKey | null => {
  if (named === null) return null
  const key = Result.getOrNull(parseVerifierKey(named.verifierKey, sha))
  const agrees =
    key !== null &&
    Hex.encode(key.publicKey) === named.publicKey &&
    fingerprintUnder(bundleLabels.checkpointKey, key.publicKey, hash) === named.fingerprint
  if (!agrees) found.problem("keys.json: the checkpoint key contradicts itself")
  return agrees ? key : null
}

const Version = Schema.fromJsonString(Schema.Struct({ bundle: Schema.Struct({ version: Schema.Int }) }))

const manifestOf = (file: Uint8Array | undefined): BundleManifest | "newer" | undefined => {
  const text = file === undefined ? undefined : textOf(file)
  const version = text === undefined ? undefined : Option.getOrUndefined(Schema.decodeUnknownOption(Version)(text))
  if (version !== undefined && version.bundle.version > 1) return "newer"
  return canonicalFile(file, BundleManifest)
}

const same = (left: NoteKey, right: NoteKey) =>
  left.name === right.name && Hex.encode(left.publicKey) === Hex.encode(right.publicKey)
const needsSecret = "The HMACs of rows and manifest: only the holder of the audit secret can check them."
const utf8 = new TextEncoder()
