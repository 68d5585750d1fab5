import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Option, Result, Schema } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { escape } from "../../src/schema/Escape.ts"
import { EventId } from "../../src/schema/Ids.ts"
import { type JsonValue, jsonLimits, type MarkedJson, snapshot, snapshotMarked } from "../../src/schema/Json.ts"
import { Marked, sealed } from "../../src/schema/Marked.ts"
import {
  findSealed,
  isSealed,
  isUnsealable,
  markedSubjects,
  openSealed,
  type Seal,
  SealedValue,
  type SubjectKey,
  sealMarks,
  type Unseal
} from "../../src/schema/Sealed.ts"
import { anyJson, random, Seed } from "./JsonArbitrary.ts"

const seal: Seal = (key, plaintext, aad, nonce) => {
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(aad)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}
const unseal: Unseal = (key, ciphertext, aad, nonce) => {
  const split = ciphertext.length - 16
  const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAAD(aad).setAuthTag(ciphertext.subarray(split))
  return Option.getOrUndefined(
    Option.getSuccess(
      Result.try(() => Buffer.concat([decipher.update(ciphertext.subarray(0, split)), decipher.final()]))
    )
  )
}

const event = EventId.make("0190163d-8694-839b-aea5-966c26f8ad91")
const other = EventId.make("0190163d-8694-839b-aea5-966c26f8ad92")
const keys = new Map<string, SubjectKey>(
  ["ann", "bob"].map((subject) => [subject, { id: `k-${subject.length}-${subject[0]}`, key: randomBytes(32) }])
)
const seals = sealMarks({ event, keyOf: (subject) => keys.get(subject), seal, nonce: () => randomBytes(12) })
const marked = (value: unknown): MarkedJson => Result.getOrThrow(snapshotMarked(value))
const stored = (value: unknown): JsonValue => JSON.parse(canonicalize(escape(marked(value), seals)))
const problemOf = (value: unknown, limits = jsonLimits) =>
  Result.match(snapshotMarked(value, limits), {
    onFailure: (error) => `${error.path} ${error.problem}`,
    onSuccess: () => "none"
  })

describe("marked values", () => {
  it("are sealed under their subject's key and open again (BEY-12)", () => {
    const document = stored({
      plain: 1,
      who: sealed("ann", { name: "Ann", $odd: "\u0000" }),
      list: [sealed("bob", "Bob")]
    })
    const text = JSON.stringify(document)
    for (const secret of ["Ann", "ann", "Bob", "bob", "name"]) assert.notInclude(text, secret)
    const found = findSealed(document)
    assert.deepStrictEqual(
      found.map(({ pointer }) => pointer),
      ["/list/0", "/who"]
    )
    const opened = found.map(({ pointer, value }) => {
      assert.isTrue(isSealed(value))
      const key = [...keys.values()].find(({ id }) => isSealed(value) && id === value.$sealed.key)!
      return isSealed(value) ? Option.getOrThrow(openSealed(value, { event, pointer }, key.key, unseal)) : null
    })
    assert.deepStrictEqual(opened, ["Bob", { name: "Ann", $odd: "\u0000" }])
  })

  it("do not open elsewhere, changed, or with another key (BEY-12)", () => {
    const document = stored({ a: sealed("ann", "x") })
    const [{ value, pointer } = assert.fail("nothing sealed")] = findSealed(document)
    if (!isSealed(value)) return assert.fail("not sealed")
    const key = keys.get("ann")!.key
    const opens = (at: { event: EventId; pointer: string }, v = value, k = key) =>
      Option.isSome(openSealed(v, at, k, unseal))
    assert.isTrue(opens({ event, pointer }))
    assert.isFalse(opens({ event: other, pointer }))
    assert.isFalse(opens({ event, pointer: "/b" }))
    assert.isFalse(opens({ event, pointer }, value, keys.get("bob")!.key))
    const flipped = (text: string) => (text.startsWith("A") ? "B" : "A") + text.slice(1)
    assert.isFalse(opens({ event, pointer }, { $sealed: { ...value.$sealed, ct: flipped(value.$sealed.ct) } }))
    assert.isFalse(opens({ event, pointer }, { $sealed: { ...value.$sealed, nonce: flipped(value.$sealed.nonce) } }))
  })

  it("become unsealable without a key, never plain (BEY-12)", () => {
    const value = { a: sealed("carol", "secret of carol") }
    assert.deepStrictEqual(stored(value), { a: { $unsealable: true } })
    assert.deepStrictEqual(escape(marked(value)), { a: { $unsealable: true } })
    assert.isTrue(isUnsealable({ $unsealable: true }))
  })

  it("show nothing when they are printed, serialised or canonicalised by mistake (BEY-12)", () => {
    const mark = sealed("ann", "a very private value")
    for (const text of [
      JSON.stringify({ mark }),
      inspect(mark, { showHidden: true, depth: 9 }),
      `${Object.values(mark)}`,
      String(mark)
    ]) {
      assert.notInclude(text, "private")
      assert.notInclude(text, "ann")
    }
    const confused: unknown = mark
    assert.notInclude(canonicalize(confused as JsonValue), "private")
  })

  it("are allowed in metadata only, once, with a usable subject (BEY-12, A-14)", () => {
    assert.isTrue(Result.isFailure(snapshot({ a: sealed("ann", 1) })))
    assert.include(problemOf({ a: sealed("ann", { b: sealed("bob", 1) }) }), "/a/b is marked")
    assert.include(problemOf([sealed("", 1)]), "/0 is marked with a subject")
    assert.include(problemOf([sealed("x".repeat(257), 1)]), "subject")
    assert.include(problemOf({ a: sealed("ann", { at: new Date(0) }) }), "/a/at is a Date")
    assert.deepStrictEqual(
      [...markedSubjects(marked([sealed("ann\u0000", 1), { b: sealed("ann", 2) }, sealed("bob", 3)]))],
      ["ann", "bob"]
    )
  })

  it("take their snapshot when the metadata is decoded, with getters read once (A-14)", () => {
    let reads = 0
    const tree = marked([
      sealed("ann", {
        get a() {
          return ++reads
        }
      })
    ])
    assert.strictEqual(canonicalize(escape(tree, (mark) => Marked.reveal(mark))), '[{"a":1}]')
    assert.strictEqual(reads, 1)
  })

  it("count with the size of their sealed form (AUD-06)", () => {
    let fits = 0
    for (const length of [0, 1, 100, 10_000, 48_000, 48_900, 48_990, 49_500, 65_000]) {
      const value = { a: sealed("ann", "x".repeat(length)) }
      if (problemOf(value) === "none") {
        fits++
        assert.isAtMost(Buffer.byteLength(canonicalize(stored(value))), jsonLimits.bytes)
      } else assert.include(problemOf(value), "65536 bytes")
    }
    assert.isAtLeast(fits, 6)
  })
})

describe("sealed form", () => {
  it("is recognised exactly, and callers cannot write it (DEC-17)", () => {
    const good = { $sealed: { v: 1, key: "k1", nonce: "A".repeat(16), ct: "A".repeat(24) } }
    assert.isTrue(isSealed(good))
    assert.isTrue(Schema.is(SealedValue)(good))
    for (const bad of [
      { ...good, extra: 1 },
      { $sealed: { ...good.$sealed, v: 2 } },
      { $sealed: { ...good.$sealed, extra: 1 } },
      { $sealed: { ...good.$sealed, nonce: "A" } },
      { $sealed: { ...good.$sealed, ct: "" } },
      { $sealed: { ...good.$sealed, key: "a b" } },
      { $sealed: null },
      null,
      "x",
      [],
      { $$sealed: good.$sealed }
    ])
      assert.isFalse(isSealed(bad))
    assert.isFalse(isUnsealable({ $unsealable: false }))
    assert.isFalse(isUnsealable({ $unsealable: true, more: 1 }))
    assert.deepStrictEqual(findSealed(stored({ forged: good, also: { $unsealable: true } })), [])
  })

  it.prop(
    "brings every value back, whatever it is (BEY-12, A-12)",
    [Seed],
    ([seed]) => {
      const value = Result.getOrThrow(snapshot(anyJson(random(seed), 3)))
      const document = stored({ "k/~$": [sealed("ann", value)] })
      const [{ pointer, value: found } = assert.fail("nothing sealed")] = findSealed(document)
      assert.strictEqual(pointer, "/k~1~0$/0")
      assert.isTrue(isSealed(found))
      if (isSealed(found))
        assert.deepStrictEqual(
          Option.getOrThrow(openSealed(found, { event, pointer }, keys.get("ann")!.key, unseal)),
          value
        )
    },
    { arbitrary: { runs: 500 } }
  )
})
