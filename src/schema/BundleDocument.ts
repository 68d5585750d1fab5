import { Result, Schema } from "effect"
import { BundleManifest, BundleSignature, manifestName } from "./Bundle.ts"
import { BundleRefused } from "./BundleError.ts"
import { canonicalFile, textOf } from "./BundleText.ts"
import { canonicalize } from "./CanonicalJson.ts"
import type { JsonValue } from "./Json.ts"

/**
 * A bundle as one line of RFC 8785 JSON (CMP-12). Its members are the files by name, `events` the lines of `events.jsonl`,
 * `checkpoint` the note or null; the manifest is `bundle` with `bundleHash` and `bundleSignature`, the HMAC, and
 * `publicSignature`, the Ed25519 signature or null. `files` MUST be those of a bundle of form `json`.
 */
export const documentOf = (files: ReadonlyMap<string, Uint8Array>): ReadonlyArray<Uint8Array> => {
  const { bundle, signatures } = canonicalFile(files.get(manifestName), BundleManifest) ?? missing(manifestName)
  const { hash, ...hmac } = signatures.find(({ algorithm }) => algorithm === "HMAC-SHA256") ?? missing("the HMAC")
  const content = (name: string) => withoutEnd(files.get(name) ?? missing(name))
  const text = (value: JsonValue) => utf8.encode(canonicalize(value))
  const note = files.get("checkpoint.txt")
  const members: ReadonlyArray<readonly [name: string, ...content: ReadonlyArray<Uint8Array>]> = [
    ["bundle", text(bundle)],
    ["bundleHash", text(hash)],
    ["bundleSignature", text(hmac)],
    ["chainVerification", content("chainVerification.json")],
    ["checkpoint", text(note === undefined ? null : (textOf(note) ?? missing("checkpoint.txt")))],
    // A canonical line has no line break inside, so each one that is there ends a row.
    ["events", utf8.encode("["), content("events.jsonl").map((byte) => (byte === lineBreak ? comma : byte)), bracket],
    ["keys", content("keys.json")],
    ["proofs", content("proofs.json")],
    ["publicSignature", text(signatures.find(({ algorithm }) => algorithm === "Ed25519") ?? null)],
    ["report", content("report.json")]
  ]
  return [
    ...members.flatMap(([name, ...parts], i) => [utf8.encode(`${i === 0 ? "{" : ","}"${name}":`), ...parts]),
    utf8.encode("}\n")
  ]
}

/** The files of such a line. What is in them is not judged here. */
export const filesOf = (
  bytes: Uint8Array,
  maxBytes = maxDocumentBytes
): Result.Result<ReadonlyMap<string, Uint8Array>, BundleRefused> => {
  if (bytes.length > maxBytes) return refuse("it is larger than a bundle in JSON may be")
  const said = canonicalFile(bytes, Outside)
  if (said === undefined) return refuse("it is no bundle in canonical JSON, was saved by an editor, or was cut off")
  const { bundle, bundleHash, bundleSignature, checkpoint, events, publicSignature, ...rest } = said
  const hmac = { ...bundleSignature, hash: bundleHash }
  const line = (value: JsonValue) => utf8.encode(`${canonicalize(value)}\n`)
  return Result.succeed(
    new Map([
      [manifestName, line({ bundle, signatures: publicSignature === null ? [hmac] : [publicSignature, hmac] })],
      ["events.jsonl", utf8.encode(events.map((row) => `${canonicalize(row)}\n`).join(""))],
      ...(checkpoint === null ? [] : [["checkpoint.txt", utf8.encode(checkpoint)] as const]),
      ...Object.entries(rest).map(([name, value]) => [`${name}.json`, line(value)] as const)
    ])
  )
}

const { hash: _, ...hmacFields } = BundleSignature.fields

/** What is inside `bundle`, `events` and the files is judged with those of an archive. */
const Outside = Schema.Struct({
  bundle: Schema.Json,
  bundleHash: Schema.String,
  bundleSignature: Schema.Struct(hmacFields),
  chainVerification: Schema.Json,
  checkpoint: Schema.NullOr(Schema.String),
  events: Schema.Array(Schema.Json),
  keys: Schema.Json,
  proofs: Schema.Json,
  publicSignature: Schema.Json,
  report: Schema.Json
})

/** Rows of a bundle in JSON, in bytes: whoever reads it must hold it in one text. */
export const maxDocumentEvents = 100_000_000
/** Every quote of a row is escaped already, so the rest is small beside the rows. */
const maxDocumentBytes = 3 * maxDocumentEvents

const utf8 = new TextEncoder()
const [lineBreak, comma] = [0x0a, 0x2c]
const bracket = utf8.encode("]")
const withoutEnd = (line: Uint8Array) => line.subarray(0, Math.max(0, line.length - 1))
const refuse = (problem: string) => Result.fail(new BundleRefused({ problem }))
const missing = (what: string): never => {
  throw new TypeError(`a bundle without ${what} cannot be written`)
}
