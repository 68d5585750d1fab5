import { createHash, createHmac, createPublicKey, hkdfSync, verify } from "node:crypto"
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import canonicalize from "canonicalize"
import { Effect } from "effect"
import { makeBundle } from "./BundleRig.ts"
import { vector } from "./Vector.ts"

const page = readFileSync("docs/audit-format.md", "utf8")
const told: Record<string, string> & { readonly proof: ReadonlyArray<string> } = JSON.parse(
  page.slice(page.lastIndexOf("```json") + 7, page.lastIndexOf("```"))
)

const bytes = (hex: string) => Buffer.from(hex, "hex")
const sha = (data: string | Uint8Array) => createHash("sha256").update(data).digest()
const hash = (text: string) => sha(text).toString("hex")
const signedBy = (key: string, text: string, signature: string) =>
  verify(
    null,
    Buffer.from(text),
    createPublicKey({
      key: Buffer.concat([bytes("302a300506032b6570032100"), bytes(key)]),
      format: "der",
      type: "spki"
    }),
    bytes(signature)
  )
const derived = (info: string) => Buffer.from(hkdfSync("sha256", bytes(told.secret!), "", info, 32))

describe("docs/audit-format.md", () => {
  it.effect("its worked values are what the code writes", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual<unknown>(told, yield* vector)
    })
  )

  it("a stranger finds the same values, the key's fingerprint among them, with SHA-256, HMAC, HKDF, Ed25519 and the rules of the page alone (ROT-04)", () => {
    const label = "effect-governance/audit/v1/"
    for (const text of [told.canonical!, told.canonical2!]) assert.strictEqual(canonicalize(JSON.parse(text)), text)
    assert.strictEqual(hash(`${label}hash\n${told.canonical}`), told.hash)
    assert.strictEqual(hash(`${label}hash\n${told.canonical2}`), told.hash2)
    assert.strictEqual(JSON.parse(told.canonical2!).prev, told.hash)
    assert.strictEqual(derived("effect-governance/v1/audit").toString("hex"), told.auditKey)
    const keyName = createHmac("sha256", derived("effect-governance/v1/fingerprint"))
    assert.strictEqual(keyName.update("effect-governance/fingerprint/v1").digest("hex").slice(0, 32), told.keyId)
    const hmac = createHmac("sha256", bytes(told.auditKey!)).update(`${label}hmac\n${told.canonical}`)
    assert.strictEqual(hmac.digest("hex"), told.hmac)
    assert.strictEqual(hash(`effect-governance/agent-key/v1/fingerprint\n${told.agentPublicKey}`), told.signer)
    assert.isTrue(signedBy(told.agentPublicKey!, `${label}signature\n${told.canonical2}`, told.signature2!))
    const { chain, seq } = JSON.parse(told.canonical2!)
    assert.strictEqual(canonicalize({ chain, hash: told.hash2, seq }), told.leaf)
    const [left, right] = told.proof.map(bytes)
    const leaf = sha(Buffer.concat([Buffer.of(0), Buffer.from(told.leaf!)]))
    assert.strictEqual(leaf.toString("hex"), told.leafHash)
    const pair = sha(Buffer.concat([Buffer.of(1), left!, leaf]))
    assert.strictEqual(sha(Buffer.concat([Buffer.of(1), pair, right!])).toString("hex"), told.root)
    assert.strictEqual(told.noteText, `${told.origin}\n3\n${bytes(told.root!).toString("base64")}\n`)
    assert.isTrue(signedBy(told.checkpointPublicKey!, told.noteText!, told.noteSignature!))
    const key = Buffer.concat([Buffer.of(1), bytes(told.checkpointPublicKey!)])
    const keyId = sha(Buffer.concat([Buffer.from(`${told.origin}\n`), key])).subarray(0, 4)
    assert.strictEqual(keyId.toString("hex"), told.noteKeyId)
    assert.strictEqual(told.verifierKey, `${told.origin}+${told.noteKeyId}+${key.toString("base64")}`)
    const named = hash(`effect-governance/checkpoint-key/v1/fingerprint\n${told.checkpointPublicKey}`)
    assert.strictEqual(named, told.checkpointKeyFingerprint)
    // NUL in a value, and a key of the caller's that begins with $.
    assert.deepStrictEqual(JSON.parse(told.canonical!).metadata, JSON.parse(told.metadata!))
    assert.strictEqual(
      Buffer.from(JSON.parse(told.metadata!).note.$utf16, "hex").swap16().toString("utf16le"),
      "a\u0000b"
    )
  })

  it.effect("names every member of a bundle in JSON, and of its manifest (CMP-12)", () =>
    Effect.gen(function* () {
      const { archive } = yield* makeBundle("json")
      const document = JSON.parse(new TextDecoder().decode(archive))
      for (const name of Object.keys(document)) assert.include(page, `\`${name}\``)
      for (const name of ["deploymentId", "createdAt", "scope", "covers", "notCovered", "signedBy", "reportId"]) {
        assert.property(document.bundle, name)
        assert.include(page, `\`${name}\``)
      }
    })
  )

  it("names every label that the format uses", () => {
    for (const label of [
      "audit/v1/hash",
      "audit/v1/hmac",
      "audit/v1/signature",
      "bundle/v1/hash",
      "bundle/v1/hmac",
      "bundle/v1/signature",
      "report/v1/hash"
    ]) {
      assert.include(page, `effect-governance/${label}\\n`)
    }
  })
})
