import { generateKeyPairSync, hash, sign, verify } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import {
  checkpointText,
  leafText,
  noteStatus,
  originOf,
  parseCheckpoint,
  parseCheckpointText,
  signCheckpoint
} from "../../src/schema/Checkpoint.ts"
import { formatNote, formatVerifierKey, noteKeyId, parseNote, parseVerifierKey } from "../../src/schema/SignedNote.ts"

const sha = (bytes: Uint8Array) => hash("sha256", bytes, "buffer")
const pair = generateKeyPairSync("ed25519")
const rawOf = (key: typeof pair.publicKey) => Uint8Array.from(key.export({ type: "spki", format: "der" }).subarray(-32))
const name = originOf("0190163d-8694-839b-aea5-966c26f8ad91")
const key = { name, publicKey: rawOf(pair.publicKey), sign: (bytes: Uint8Array) => sign(null, bytes, pair.privateKey) }
const crypto = {
  sha,
  verify: (_: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => verify(null, bytes, pair.publicKey, signature)
}
const body = { origin: name, size: 12, root: sha(Buffer.from("root")) }
const note = Result.getOrThrow(signCheckpoint(body, key, sha))

describe("A signed note", () => {
  it("has the bytes of the C2SP example: key id and verifier key of the note that the Go tools publish", () => {
    const vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    const parsed = Result.getOrThrow(parseVerifierKey(vkey, sha))
    assert.strictEqual(formatVerifierKey(parsed, sha), vkey)
    assert.strictEqual(Buffer.from(noteKeyId(parsed.name, parsed.publicKey, sha)).toString("hex"), "c74f20a3")
  })

  it("of one state is always the same bytes, and its own key finds it valid (A-32)", () => {
    assert.strictEqual(Result.getOrThrow(signCheckpoint(body, key, sha)), note)
    const parsed = Result.getOrThrow(parseCheckpoint(note))
    assert.deepStrictEqual(
      { ...parsed.body, root: Buffer.from(parsed.body.root) },
      { ...body, root: Buffer.from(body.root) }
    )
    assert.strictEqual(noteStatus(parsed, key, crypto), "valid")
  })

  it("with one character of its text changed is not valid, whichever character (A-31)", () => {
    const parsed = Result.getOrThrow(parseNote(note))
    for (let at = 0; at < parsed.text.length - 1; at++) {
      const text = `${parsed.text.slice(0, at)}${parsed.text[at] === "7" ? "8" : "7"}${parsed.text.slice(at + 1)}`
      assert.strictEqual(noteStatus({ ...parsed, text }, key, crypto), "badSignature")
    }
  })

  it("signed by another key of the same name is told from one that was changed", () => {
    const other = { ...key, publicKey: rawOf(generateKeyPairSync("ed25519").publicKey) }
    assert.strictEqual(noteStatus(Result.getOrThrow(parseNote(note)), other, crypto), "otherKey")
  })

  it.each([
    ["nothing", ""],
    ["no empty line", "a\nb\n"],
    ["no signature line", "a\n\n"],
    ["an unfinished signature line", note.slice(0, -1)],
    ["a carriage return", note.replace("\n12\n", "\r\n12\n")],
    ["a terminal sequence", note.replace("12", "\u001b[2J")],
    ["a lone surrogate", note.replace("12", "\ud800")],
    ["Base64 with rubbish", note.replace(/(.)\n$/, "!\n")],
    ["a hyphen for the dash", note.replace("\u2014", "-")],
    ["10 MB", `${"x".repeat(10_000_000)}\n\n`]
  ])("with %s is refused, and nothing is thrown", (_, text) => assert.isTrue(Result.isFailure(parseNote(text))))

  it("is never made of a text that another reader could split elsewhere", () => {
    for (const text of ["", "\n", "no end", "a\u0000\n", "\ud800\n"]) {
      assert.isTrue(Result.isFailure(formatNote(text, [])))
    }
    const line = { keyId: new Uint8Array(4), signature: new Uint8Array(64) }
    for (const name of ["", "a b", "a+b", "a\nb"]) {
      assert.isTrue(Result.isFailure(formatNote("a\n", [{ ...line, name }])), name)
    }
  })

  it("as a checkpoint has three lines that are read strictly", () => {
    assert.strictEqual(checkpointText(body).split("\n").length, 4)
    for (const text of [
      "",
      "a\n",
      "a\n01\nx\n",
      "a\n-1\nx\n",
      "a\n1e3\nx\n",
      "a\n99999999999999999\nx\n",
      "a\n1\nx\n"
    ]) {
      assert.isTrue(Result.isFailure(parseCheckpointText(text)), JSON.stringify(text))
    }
    assert.isTrue(Result.isSuccess(parseCheckpointText(`${checkpointText(body)}an extension\n`)))
  })

  it("covers leaves as canonical JSON, the same bytes for everyone", () =>
    assert.strictEqual(
      leafText({ chain: 'session:"a"', seq: 3, hash: Uint8Array.of(0, 255) }),
      '{"chain":"session:\\"a\\"","hash":"00ff","seq":3}'
    ))

  it.each([
    "",
    "name",
    "name+c74f20a3",
    "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
  ])("is not checked with what is no verifier key: %s", (text) =>
    assert.isTrue(Result.isFailure(parseVerifierKey(text, sha)))
  )
})
