import { createHash, randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { checkSecretStrength, maxSecretBytes } from "../../src/schema/Secret.ts"

const accepted = (secret: string | Uint8Array) => Result.getOrThrow(checkSecretStrength(secret))
const hash = (text: string) => createHash("sha256").update(text).digest()

const weak: ReadonlyArray<string> = [
  "",
  "a",
  "secret",
  "changeme",
  "password",
  "x".repeat(31),
  "a".repeat(32),
  "a".repeat(64),
  "0".repeat(64),
  "f".repeat(64),
  "=".repeat(44),
  " ".repeat(40),
  "ab".repeat(20),
  "abc".repeat(16),
  "abcd1234".repeat(8),
  "0123456789abcdef".repeat(4),
  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
  "deadbeef".repeat(8),
  "DEADBEEF".repeat(8),
  "cafebabe".repeat(8),
  "1234567890".repeat(4),
  "12345678901234567890123456789012",
  "abcdefghijklmnopqrstuvwxyz012345",
  "zyxwvutsrqponmlkjihgfedcba987654",
  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
  "qwertyuiopasdfghjklzxcvbnm123456",
  "1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y",
  "passwordpasswordpasswordpassword",
  "changemechangemechangemechangeme",
  "change-me-to-a-random-32-byte-secret",
  "your-secret-key-at-least-32-bytes-long",
  "this-is-a-secret-key-of-32-bytes!",
  "replace-this-with-openssl-rand-hex-32",
  "my-super-secret-audit-key-0123456789",
  "development-secret-do-not-use-in-prod",
  "example-audit-secret-0123456789abcdef",
  "GOVERNANCE_AUDIT_SECRET_GOVERNANCE_",
  "governance-audit-secret-for-local-dev",
  "correct horse battery staple correct horse",
  "correcthorsebatterystaplecorrecthorse",
  "the quick brown fox jumps over the lazy dog",
  "to be or not to be that is the question",
  "Lorem ipsum dolor sit amet, consectetur",
  "P@ssw0rdP@ssw0rdP@ssw0rdP@ssw0rd1",
  "admin123admin123admin123admin123",
  "letmeinletmeinletmeinletmein1234",
  "testtesttesttesttesttesttesttest",
  "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb",
  "aaaaaaaabbbbbbbbccccccccdddddddd",
  Buffer.alloc(32).toString("base64"),
  Buffer.alloc(32, 7).toString("base64url"),
  Buffer.from("changeme".repeat(4)).toString("base64"),
  Buffer.from("passwordpasswordpasswordpassword").toString("hex"),
  Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString("base64"),
  hash("too short").subarray(0, 16).toString("hex"),
  hash("too short").subarray(0, 16).toString("base64"),
  "2026-01-01T00:00:00Z-2026-01-01T00:00:00Z",
  "11111111-1111-1111-1111-111111111111",
  "192.168.0.1:192.168.0.1:192.168.0.1"
]

describe("checkSecretStrength", () => {
  it("knows at least 50 weak secrets", () => assert.isAtLeast(new Set(weak).size, 50))

  it.each(weak)("refuses %s, as text and as bytes, and does not repeat it (K-01, OQ-25)", (secret) => {
    for (const form of [secret, new TextEncoder().encode(secret)]) {
      const result = checkSecretStrength(form)
      assert.isTrue(Result.isFailure(result))
      if (!Result.isFailure(result) || secret.length < 6) continue
      const shown = `${result.failure.message} ${result.failure.recoveryHint} ${JSON.stringify(result.failure)} ${result.failure.stack}`
      assert.strictEqual(secret === "secret" || !shown.includes(secret), true)
    }
  })

  it("refuses a random secret with the word of a sample in it, but not with a short word that chance writes (K-01)", () => {
    const random = hash("surely random").toString("base64").slice(0, 43)
    accepted(`admin+${random}+x`)
    for (const text of [`changeme+${random}`, `${random}Password`, `admin+${random}+secret`]) {
      assert.isTrue(Result.isFailure(checkSecretStrength(text)), text)
    }
  })

  it("accepts what a generator makes, 10 000 times of each kind (OQ-25)", () => {
    for (let i = 0; i < 10_000; i++) {
      const bytes = hash(`good ${i}`)
      for (const secret of [bytes, bytes.toString("hex"), bytes.toString("base64"), bytes.toString("base64url")])
        accepted(secret)
    }
  })

  it("accepts random printable text of 40 characters (OQ-25)", () => {
    for (let i = 0; i < 2_000; i++) {
      const bytes = Buffer.concat([hash(`text ${i}`), hash(`more ${i}`)])
      accepted(Array.from(bytes.subarray(0, 40), (byte) => String.fromCharCode(33 + (byte % 94))).join(""))
    }
  })

  it("gives the same bytes for hex, base64, base64url and raw bytes of one key (CFG-02)", () => {
    const bytes = randomBytes(32)
    for (const secret of [
      bytes.toString("hex"),
      bytes.toString("hex").toUpperCase(),
      bytes.toString("base64"),
      bytes.toString("base64").replace(/=+$/, ""),
      bytes.toString("base64url"),
      bytes
    ]) {
      assert.deepStrictEqual(Buffer.from(accepted(secret)), bytes)
    }
  })

  it("takes other text as UTF-8, spaces included (CFG-02)", () => {
    const text = " zK#8 vQ!2 pW@9 xR%4 mT^6 nY&1 bU*3 é"
    assert.deepStrictEqual(Buffer.from(accepted(text)), Buffer.from(text))
  })

  it("judges a key by its decoded length: 31 bytes fail, 32 pass, 1024 pass, 1025 fail (K-01)", () => {
    const long = Buffer.concat(Array.from({ length: 40 }, (_, i) => hash(`long ${i}`)))
    for (const [size, ok] of [
      [31, false],
      [32, true],
      [maxSecretBytes, true],
      [maxSecretBytes + 1, false]
    ] as const) {
      const key = long.subarray(0, size)
      assert.strictEqual(Result.isSuccess(checkSecretStrength(key)), ok, `${size} bytes`)
      assert.strictEqual(Result.isSuccess(checkSecretStrength(key.toString("hex"))), ok, `${size} bytes as hex`)
    }
    const started = performance.now()
    assert.isTrue(Result.isFailure(checkSecretStrength("x".repeat(5_000_000))))
    assert.isBelow(performance.now() - started, 500)
  })
})
