// biome-ignore-all lint/suspicious/noExplicitAny: what is tampered with has no shape
import { createHash } from "node:crypto"
import { zipSync } from "fflate"
import { type BundleFacts, bundleLabels, signedText } from "../../src/schema/Bundle.ts"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import * as Trees from "./Trees.ts"

export type Files = ReadonlyMap<string, Uint8Array>

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (files: Files, name: string): string => new TextDecoder().decode(files.get(name))
export const sha256 = (data: Uint8Array | string) => createHash("sha256").update(data).digest("hex")

/** The archive of these files, as anybody would make it. */
export const zip = (files: Files): Uint8Array => zipSync(Object.fromEntries(files), { mtime: "1980-01-01T00:00:00" })

export const put = (files: Files, name: string, content: string | Uint8Array): Files =>
  new Map([...files, [name, typeof content === "string" ? bytesOf(content) : content]])

export const drop = (files: Files, name: string): Files => new Map([...files].filter(([key]) => key !== name))

/** A forger with a key: every hash of the manifest is made right again, and it is signed anew. */
export const resign = (
  files: Files,
  key = Trees.key,
  change: (bundle: BundleFacts) => BundleFacts = (same) => same
) => {
  const { bundle, signatures } = JSON.parse(textOf(files, "manifest.json"))
  const changed = change({
    ...bundle,
    files: bundle.files
      .filter(({ name }: { name: string }) => files.has(name))
      .map(({ name }: { name: string }) => {
        const content = files.get(name)!
        return { name, bytes: content.length, sha256: sha256(content) }
      })
  })
  const signed = signatures.map((one: { algorithm: "Ed25519"; keyFingerprint: string }) => {
    const by = { algorithm: one.algorithm, keyFingerprint: one.keyFingerprint }
    const text = signedText(changed, by)
    const signature = Buffer.from(key.sign(bytesOf(bundleLabels.signature + text))).toString("hex")
    return { ...by, hash: sha256(bundleLabels.hash + text), signature: one.algorithm === "Ed25519" ? signature : "00" }
  })
  return put(files, "manifest.json", `${canonicalize({ bundle: changed, signatures: signed })}\n`)
}

/** The rows as objects, changed, in canonical lines again. */
export const rows = (files: Files, change: (rows: Array<Record<string, any>>) => Array<Record<string, any>>): Files => {
  const found = textOf(files, "events.jsonl").trimEnd().split("\n")
  return put(
    files,
    "events.jsonl",
    change(found.map((line) => JSON.parse(line)))
      .map((row) => `${canonicalize(row)}\n`)
      .join("")
  )
}

/** A row whose text was changed and hashed anew, as somebody without keys can do it. */
export const rewritten = (row: Record<string, any>, change: (said: Record<string, any>) => void) => {
  const said = JSON.parse(row.canonical)
  change(said)
  const canonical = canonicalize(said)
  return { ...row, canonical, hash: sha256(`effect-governance/audit/v1/hash\n${canonical}`) }
}

export const json = (files: Files, name: string, change: (value: any) => unknown): Files =>
  put(files, name, `${canonicalize(change(JSON.parse(textOf(files, name))) as never)}\n`)

/** The one line of JSON that holds these files, as anybody would make it from docs/audit-format.md. */
export const document = (files: Files): Uint8Array => {
  const value = (name: string) => JSON.parse(textOf(files, name))
  const { bundle, signatures } = value("manifest.json")
  const { hash, ...hmac } = signatures.find(({ algorithm }: { algorithm: string }) => algorithm === "HMAC-SHA256")
  return bytesOf(
    `${canonicalize({
      bundle,
      bundleHash: hash,
      bundleSignature: hmac,
      chainVerification: value("chainVerification.json"),
      checkpoint: files.has("checkpoint.txt") ? textOf(files, "checkpoint.txt") : null,
      events: textOf(files, "events.jsonl")
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
      keys: value("keys.json"),
      proofs: value("proofs.json"),
      publicSignature: signatures.find(({ algorithm }: { algorithm: string }) => algorithm === "Ed25519") ?? null,
      report: value("report.json")
    })}\n`
  )
}
