import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Base64, Base64Url, Hex } from "effect/encoding"
import { leaks } from "../../src/testing/Canaries.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const capture = (bytes: Uint8Array | string) => [
  { name: "log", bytes: typeof bytes === "string" ? utf8(bytes) : bytes }
]
const secret = 'sk-Ünsafe "canary"/42?'
const found = (bytes: Uint8Array | string) => leaks(capture(bytes), { key: secret }).length

describe("leaks (I7)", () => {
  it("finds a canary in every form in which it travels (BEY-18, I7)", () => {
    const utf16 = Array.from(secret, (character) => character.charCodeAt(0))
    const forms: Record<string, Uint8Array | string> = {
      plain: secret,
      json: JSON.stringify({ a: secret }),
      "json in json": JSON.stringify(JSON.stringify({ a: secret })),
      url: `https://x/?q=${encodeURIComponent(secret)}`,
      "url in lower case": `q=${encodeURIComponent(secret).toLowerCase()}`,
      form: new URLSearchParams({ q: secret }).toString(),
      hex: Hex.encode(secret),
      "upper hex": Hex.encode(secret).toUpperCase(),
      base64: Base64.encode(secret),
      base64url: Base64Url.encode(secret),
      "utf-16 little endian": new Uint8Array(utf16.flatMap((unit) => [unit & 0xff, unit >> 8])),
      "utf-16 big endian": new Uint8Array(utf16.flatMap((unit) => [unit >> 8, unit & 0xff]))
    }
    for (const [name, bytes] of Object.entries(forms)) assert.strictEqual(found(bytes), 1, name)
  })

  it.prop(
    "finds it at any offset of a longer text, also in Base64 (I7)",
    { before: Schema.String, after: Schema.String },
    ({ after, before }) => {
      assert.strictEqual(found(before + secret + after), 1)
      assert.strictEqual(found(Base64.encode(before + secret + after)), 1)
      assert.strictEqual(found(Base64Url.encode(before + secret + after)), 1)
    }
  )

  it.prop("finds nothing in bytes that do not contain it (I7)", { text: Schema.String }, ({ text }) => {
    assert.strictEqual(found(text), 0)
    assert.strictEqual(found(Base64.encode(text)), 0)
  })

  it("finds nothing in most of it, and refuses canaries that chance could find", () => {
    assert.strictEqual(found(secret.slice(0, -1)), 0)
    assert.strictEqual(leaks(capture(""), { key: "abc" }).length, 1)
  })

  it("reads captures of megabytes", () => {
    const bytes = new Uint8Array(3_000_000)
    assert.strictEqual(found(bytes), 0)
    bytes.set(utf8(secret), 2_900_000)
    assert.strictEqual(found(bytes), 1)
  })
})
