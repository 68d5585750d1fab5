import { createHmac } from "node:crypto"
import { Effect } from "effect"
import { fingerprintOf } from "../../src/schema/AgentKey.ts"
import { bundleLabels, fingerprintUnder } from "../../src/schema/Bundle.ts"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { genesis, headOf, labels, type RowKeys, seal } from "../../src/schema/Chain.ts"
import { checkpointText, leafHashOf, leafText, originOf } from "../../src/schema/Checkpoint.ts"
import type { AuditDraft } from "../../src/schema/Envelope.ts"
import { escape } from "../../src/schema/Escape.ts"
import { AgentId, ChainId, EventId, SessionId } from "../../src/schema/Ids.ts"
import { inclusionProof, rootOf } from "../../src/schema/Merkle.ts"
import { formatVerifierKey, noteKeyId } from "../../src/schema/SignedNote.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import * as Trees from "./Trees.ts"

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const utf8 = (text: string) => new TextEncoder().encode(text)

/** The worked example of docs/audit-format.md, made by the code that makes real rows. */
export const vector = Effect.gen(function* () {
  const keys = yield* ChainKeys.ChainKeys
  const agentKey = Trees.keyOf(5)
  const fingerprint = fingerprintOf(agentKey.publicKey, keys.hash)
  const signing: RowKeys = {
    ...keys.current,
    signer: { fingerprint, sign: (text) => agentKey.sign(utf8(text)) }
  }
  const draft = (n: number, metadata: string): AuditDraft => ({
    chain: ChainId.make("session:order-4711"),
    id: EventId.make(`00000000-0000-4000-8000-00000000000${n}`),
    atMs: 1_800_000_000_000 + n,
    agent: AgentId.make("billing-agent"),
    session: SessionId.make("order-4711"),
    parent: n === 1 ? null : EventId.make("00000000-0000-4000-8000-000000000001"),
    kind: n === 1 ? "tool.call" : "tool.result",
    model: null,
    inputHash: null,
    outputHash: null,
    metadataText: metadata
  })
  const escaped = canonicalize(escape({ name: "refund", note: "a\u0000b", $price: "é" }))
  const first = seal(draft(1, escaped), genesis, keys.current)
  const second = seal(draft(2, '{"result":"completed"}'), headOf(first), signing)
  const leaves = [
    { chain: "operator", seq: 1, hash: new Uint8Array(32).fill(0xaa) },
    { chain: second.chain, seq: second.seq, hash: second.hash },
    { chain: "agent:mail-agent", seq: 9, hash: new Uint8Array(32).fill(0xbb) }
  ]
  const hashes = leaves.map((leaf) => leafHashOf(leaf, sha256))
  const root = rootOf(hashes, sha256)
  const key = Trees.key
  const note = checkpointText({ origin: key.name, size: 3, root })
  return {
    secret: hex(sha256(utf8("test key"))),
    auditKey: hex(keys.deriveKey("audit").export()),
    keyId: keys.current.keyId,
    metadata: escaped,
    canonical: first.canonical,
    hash: hex(first.hash),
    hmac: hex(
      createHmac("sha256", keys.deriveKey("audit"))
        .update(labels.mac + first.canonical)
        .digest()
    ),
    agentPublicKey: hex(agentKey.publicKey),
    signer: fingerprint,
    canonical2: second.canonical,
    hash2: hex(second.hash),
    signature2: hex(second.signature ?? new Uint8Array(0)),
    leaf: leafText(leaves[1]!),
    leafHash: hex(hashes[1]!),
    proof: inclusionProof(hashes, 1, sha256).map(hex),
    root: hex(root),
    origin: originOf(Trees.deployment),
    checkpointPublicKey: hex(key.publicKey),
    noteKeyId: hex(noteKeyId(key.name, key.publicKey, sha256)),
    verifierKey: formatVerifierKey(key, sha256),
    checkpointKeyFingerprint: fingerprintUnder(bundleLabels.checkpointKey, key.publicKey, keys.hash),
    noteText: note,
    noteSignature: hex(key.sign(utf8(note)))
  }
}).pipe(Effect.provide(ChainKeys.layerTest))
