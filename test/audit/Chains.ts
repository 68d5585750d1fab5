import { createHash, createHmac, createSecretKey } from "node:crypto"
import { Result } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { checkRow, genesis, headOf, type RowKeys, seal, type Verifier } from "../../src/schema/Chain.ts"
import type { ChainBreak } from "../../src/schema/ChainReport.ts"
import type { AuditDraft, ChainRow } from "../../src/schema/Envelope.ts"
import { escape } from "../../src/schema/Escape.ts"
import { normaliseIdentifier } from "../../src/schema/Identifier.ts"
import { AgentId, EventId, KeyId, SessionId, sessionChain } from "../../src/schema/Ids.ts"
import { snapshot } from "../../src/schema/Json.ts"
import { anyJson } from "../schema/JsonArbitrary.ts"
import { naughtyStrings } from "../schema/Vectors.ts"

export const hash = (text: string): Uint8Array => createHash("sha256").update(text).digest()

export const keysOf = (byte: number): RowKeys => {
  const key = createSecretKey(Buffer.alloc(32, byte))
  return {
    keyId: KeyId.make(byte.toString(16).padStart(2, "0").repeat(16)),
    hash,
    mac: (text) => createHmac("sha256", key).update(text).digest(),
    signer: null
  }
}

export const keys = keysOf(7)
export const verifier: Verifier = { hash, macFor: (id) => (id === keys.keyId ? keys.mac : undefined) }
export const withoutSecret: Verifier = { hash, macFor: null }

const naughty = naughtyStrings()

const anyName = (next: () => number): string => {
  const name = normaliseIdentifier(naughty[Math.floor(next() * naughty.length)]!).slice(0, 200)
  return name === "" ? "x" : name.toWellFormed()
}

/** A draft as the intake makes it, with hostile names and metadata. */
export const anyDraft = (next: () => number, session = "s"): AuditDraft => {
  const maybe = <A>(value: A): A | null => (next() < 0.5 ? null : value)
  const id = (): EventId =>
    EventId.make(
      `${Array.from({ length: 32 }, () => Math.floor(next() * 16).toString(16)).join("")}`.replace(
        /^(.{8})(.{4})(.{4})(.{4})(.{12})$/,
        "$1-$2-$3-$4-$5"
      )
    )
  return {
    chain: sessionChain(SessionId.make(session)),
    id: id(),
    atMs: 1_790_000_000_000 + Math.floor(next() * 100_000),
    agent: AgentId.make(anyName(next)),
    session: maybe(SessionId.make(anyName(next))),
    parent: maybe(id()),
    kind: anyName(next),
    model: maybe(anyName(next)),
    inputHash: maybe(anyName(next)),
    outputHash: maybe(anyName(next)),
    metadataText: canonicalize(escape(Result.getOrThrow(snapshot({ value: anyJson(next) }))))
  }
}

export const chainOf = (drafts: ReadonlyArray<AuditDraft>, sealedWith: RowKeys = keys): ReadonlyArray<ChainRow> => {
  let head = genesis
  return drafts.map((draft) => {
    const row = seal(draft, head, sealedWith)
    head = headOf(row)
    return row
  })
}

export const anyChain = (next: () => number, length: number, session = "s"): ReadonlyArray<ChainRow> =>
  chainOf(Array.from({ length }, () => anyDraft(next, session)))

/** As a reader finds them: each row against the one before it. */
export const check = (rows: ReadonlyArray<ChainRow>, by: Verifier = verifier): ReadonlyArray<ChainBreak> =>
  rows.flatMap((row, i) => checkRow(row, i === 0 ? null : rows[i - 1], by))

const flipText = (text: string, bit: number) => {
  const at = bit >> 4
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << (bit & 15))) + text.slice(at + 1)
}
const flipBytes = (bytes: Uint8Array, bit: number) => {
  const copy = Uint8Array.from(bytes)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}
const flipNumber = (value: number, bit: number) => Number(BigInt.asIntN(64, BigInt(value) ^ (1n << BigInt(bit))))

/** Every way to flip one bit of one column. The columns come from the row itself, so a new one cannot escape. */
export const bitFlips = (row: ChainRow, canonicalStep = 1): ReadonlyArray<ChainRow> =>
  Object.entries(row).flatMap(([column, value]): ReadonlyArray<ChainRow> => {
    const flips = (count: number, flip: (bit: number) => unknown, step = 1) =>
      Array.from({ length: Math.ceil(count / step) }, (_, i) => ({ ...row, [column]: flip(i * step) }))
    if (typeof value === "string")
      return flips(value.length * 16, (bit) => flipText(value, bit), column === "canonical" ? canonicalStep : 1)
    if (typeof value === "number") return flips(63, (bit) => flipNumber(value, bit))
    if (value instanceof Uint8Array) return flips(value.length * 8, (bit) => flipBytes(value, bit))
    // A column that is null becomes something.
    if (value !== null) throw new Error(`no way to flip a bit of ${column}`)
    return [{ ...row, [column]: column === "prev" || column === "signature" ? new Uint8Array(32) : "x" }]
  })
