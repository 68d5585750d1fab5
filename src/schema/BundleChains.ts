import { Option, Schema } from "effect"
import { Hex } from "effect/encoding"
import { fingerprintOf } from "./AgentKey.ts"
import { ChainIntegrityError } from "./AuditError.ts"
import type { BundleAgentKey, BundleChain, BundleLeaf } from "./Bundle.ts"
import { readBundleRow } from "./BundleLine.ts"
import type { Findings } from "./BundleVerdict.ts"
import { canonicalize } from "./CanonicalJson.ts"
import { checkRow, type Digest, labels } from "./Chain.ts"
import type { VerifyBytes } from "./Checkpoint.ts"
import type { ChainRow } from "./Envelope.ts"
import type { EnvelopeText } from "./EnvelopeText.ts"

export interface ChainCrypto {
  readonly hash: Digest
  readonly verify: VerifyBytes
}

interface Segment {
  readonly fromSeq: number
  readonly toSeq: number
  readonly firstPrev: string | null
  readonly lastHash: string
  readonly root: string
}

/** What has been seen of one chain. */
interface SeenChain {
  first: ChainRow | null
  last: ChainRow | null
  rows: number
  /** Hash of the row that a checkpoint's leaf names, once it came by. */
  atLeaf: Uint8Array | null
}

/**
 * Checks the rows of a bundle as they stand in `events.jsonl`: each row by itself, each against the one before it, every chain
 * against the manifest, the checkpoint's leaves and the seals of what was pruned.
 */
export class BundleChains {
  rows = 0
  signedRows = 0
  private readonly seen = new Map<string, SeenChain>()
  private readonly sealed = new Map<string, Array<Segment>>()
  private readonly pruned = new Set<string>()
  private readonly unknownSigners = new Set<string>()
  private readonly leafSeq: ReadonlyMap<string, number>
  private readonly keys: ReadonlyMap<string, BundleAgentKey>
  private readonly found: Findings
  private readonly crypto: ChainCrypto
  private readonly leaves: ReadonlyArray<typeof BundleLeaf.Type>

  constructor(
    leaves: ReadonlyArray<typeof BundleLeaf.Type>,
    agentKeys: ReadonlyArray<BundleAgentKey>,
    found: Findings,
    crypto: ChainCrypto
  ) {
    this.leaves = leaves
    this.leafSeq = new Map(leaves.map(({ chain, seq }) => [chain, seq]))
    this.keys = new Map(agentKeys.map((key) => [key.fingerprint, key]))
    this.found = found
    this.crypto = crypto
    for (const key of agentKeys) {
      const publicKey = Hex.decode(key.publicKey)
      const own = publicKey._tag === "Success" ? fingerprintOf(publicKey.success, crypto.hash) : ""
      if (own !== key.fingerprint) found.problem(`keys.json: the fingerprint ${key.fingerprint} is not that of its key`)
    }
  }

  visit(line: string, number: number) {
    const read = readBundleRow(line)
    if (typeof read === "string") return this.found.problem(`events.jsonl, line ${number}: ${read}`)
    const { envelope, row } = read
    this.rows++
    const seen = this.seen.get(row.chain) ?? { first: null, last: null, rows: 0, atLeaf: null }
    this.seen.set(row.chain, seen)
    const previous = seen.last ?? (row.seq === 1 ? null : undefined)
    for (const one of checkRow(row, previous, { hash: this.crypto.hash, macFor: null })) {
      this.found.problem(new ChainIntegrityError(one).message)
    }
    this.signature(row)
    seen.first ??= row
    seen.last = row
    seen.rows++
    if (this.leafSeq.get(row.chain) === row.seq) seen.atLeaf = row.hash
    if (row.chain === "operator") this.retention(envelope)
  }

  /** Once every line came by. */
  finish(chains: ReadonlyArray<BundleChain>, covered: boolean): void {
    const named = new Map(chains.map(({ chain, lastSeq }) => [chain, lastSeq]))
    if (named.size !== chains.length) this.found.problem("manifest.json: names a chain twice")
    for (const chain of this.seen.keys()) {
      if (!named.has(chain)) this.found.problem(`${chain}: has rows and is not in the manifest`)
    }
    for (const chain of chains) this.extent(chain)
    for (const leaf of this.leaves) this.leaf(leaf, named.get(leaf.chain))
    let beyond = 0
    for (const [chain, { first, last }] of this.seen) {
      beyond += Math.max(0, (last?.seq ?? 0) - Math.max(this.leafSeq.get(chain) ?? 0, (first?.seq ?? 1) - 1))
    }
    // Counted here: a stranger need not believe what the report says of it.
    if (covered && beyond > 0) {
      this.found.notCovered.push(
        `What came after the checkpoint: nothing that left the database vouches for ${beyond} of these rows.`
      )
    }
    if (this.unknownSigners.size > 0) {
      this.found.missing.push(
        `the public keys of ${this.unknownSigners.size} signers: their rows were not judged by signature`
      )
    }
  }

  private signature(row: ChainRow) {
    if (row.signer === null || row.signature === null) return
    const key = this.keys.get(row.signer)
    if (key === undefined) return void this.unknownSigners.add(row.signer)
    const publicKey = Hex.decode(key.publicKey)
    const valid =
      key.agent === row.agent &&
      publicKey._tag === "Success" &&
      this.crypto.verify(publicKey.success, utf8.encode(labels.signature + row.canonical), row.signature)
    if (!valid) this.found.problem(`${row.chain}, row ${row.seq}: the signature is wrong`)
    else if (key.revokedAtMs !== null && row.atMs > key.revokedAtMs) {
      this.found.problem(`${row.chain}, row ${row.seq}: it was signed after its key had been revoked`)
    } else this.signedRows++
  }

  private retention(envelope: EnvelopeText): void {
    const isSeal = envelope.kind === "audit.segment_sealed"
    if (!isSeal && envelope.kind !== "audit.segment_pruned") return
    const segment = Option.getOrUndefined(decodeSegment(envelope.metadata))
    if (segment === undefined) return
    if (isSeal) this.sealed.set(segment.chain, [...(this.sealed.get(segment.chain) ?? []), segment])
    else this.pruned.add(keyOf(segment.chain, segment))
  }

  /** The rows that are there, and for those before them a seal that says what they were. */
  private extent({ chain, firstSeq, lastSeq, rows }: BundleChain): void {
    const seen = this.seen.get(chain)
    const first = seen?.first ?? null
    const last = seen?.last ?? null
    if ((seen?.rows ?? 0) !== rows || (first?.seq ?? 0) !== firstSeq || (rows > 0 && last?.seq !== lastSeq)) {
      this.found.problem(`${chain}: its rows are not those that the manifest names`)
    }
    const before = first === null ? lastSeq : first.seq - 1
    if (before === 0) return
    const end = this.prunedTo(chain, before)
    if (end === undefined || (first !== null && !(first.prev !== null && Hex.encode(first.prev) === end))) {
      this.found.problem(`${chain}: rows 1 to ${before} are missing, and no seal says that they were pruned`)
    } else {
      this.found.notCovered.push(
        `${chain}: rows 1 to ${before} were pruned; a seal in chain operator says what they were`
      )
    }
  }

  /** The hash of row `seq`, where seals that were carried out join up from row 1 to it. */
  private prunedTo(chain: string, seq: number): string | undefined {
    let at = 0
    let hash: string | null = null
    while (at < seq) {
      const next: Segment | undefined = this.sealed
        .get(chain)
        ?.find((one) => one.fromSeq === at + 1 && one.firstPrev === hash && this.pruned.has(keyOf(chain, one)))
      if (next === undefined || next.toSeq <= at) return undefined
      at = next.toSeq
      hash = next.lastHash
    }
    return at === seq && hash !== null ? hash : undefined
  }

  /** What the checkpoint knows MUST be here, or have been pruned under a seal that says the same. */
  private leaf({ chain, hash, seq }: typeof BundleLeaf.Type, lastSeq: number | undefined) {
    if (lastSeq === undefined) return this.found.problem(`${chain}: is in the proofs and not in the manifest`)
    const seen = this.seen.get(chain)
    const sealedHash = this.sealed.get(chain)?.find((one) => one.toSeq === seq)?.lastHash
    if (seen !== undefined && seen.atLeaf !== null) {
      if (Hex.encode(seen.atLeaf) === hash) return
      this.found.problem(`${chain}, row ${seq}: is not the row that the checkpoint knows`)
    } else if (seq >= (seen?.first?.seq ?? lastSeq + 1)) {
      this.found.problem(`${chain}: row ${seq}, which the checkpoint knows, is missing`)
    } else if (sealedHash !== undefined && sealedHash !== hash) {
      this.found.problem(`${chain}: the seal of row ${seq} is not what the checkpoint knows`)
    }
  }
}

const utf8 = new TextEncoder()
const keyOf = (chain: string, { firstPrev, fromSeq, lastHash, root, toSeq }: Segment) =>
  canonicalize([chain, fromSeq, toSeq, firstPrev, lastHash, root])

const decodeSegment = Schema.decodeUnknownOption(
  Schema.Struct({
    chain: Schema.String,
    fromSeq: Schema.Int,
    toSeq: Schema.Int,
    firstPrev: Schema.NullOr(Schema.String),
    lastHash: Schema.String,
    root: Schema.String
  })
)
