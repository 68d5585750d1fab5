import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { escape, unescape } from "../../src/schema/Escape.ts"
import { InvalidJson, type JsonLimits, jsonLimits, snapshot } from "../../src/schema/Json.ts"
import { parseJson } from "../../src/schema/JsonText.ts"
import { anyJson, random } from "./JsonArbitrary.ts"
import * as Vectors from "./Vectors.ts"

const kept = (value: unknown, limits?: JsonLimits) => Result.getOrThrow(snapshot(value, limits))
const refused = (value: unknown, limits?: JsonLimits): InvalidJson => {
  const result = snapshot(value, limits)
  assert.isTrue(Result.isFailure(result), "must be refused")
  return Result.isFailure(result) ? result.failure : assert.fail("unreachable")
}
const nested = (levels: number): unknown => {
  let value: unknown = []
  for (let i = 1; i < levels; i++) value = [value]
  return value
}

describe("snapshot", () => {
  it("keeps plain JSON as it is, in a deeply frozen copy", () => {
    const source = { b: [1, "x", null, true, { c: 0.1 }], a: "ü" }
    const copy = kept(source)
    assert.deepStrictEqual(copy, source)
    assert.notStrictEqual(copy, source)
    const frozen = (value: unknown): boolean =>
      typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    assert.isTrue(frozen(copy))
    source.b.push("later")
    assert.strictEqual(Reflect.get(Object(copy), "b").length, 5)
  })

  it("makes -0 to 0 once, before anything is hashed (A-13)", () => {
    assert.isTrue(Object.is(kept(-0), 0))
    assert.isTrue(Object.is(kept([-0]), kept([-0])) === false)
    assert.strictEqual(canonicalize(kept({ n: -0 })), '{"n":0}')
  })

  it("drops undefined members like JSON.stringify and refuses undefined elsewhere", () => {
    assert.deepStrictEqual(kept({ a: undefined, b: 1, c: undefined }), { b: 1 })
    assert.deepStrictEqual(Object.keys(Object(kept({ a: undefined }))), [])
    assert.include(refused(undefined).problem, "undefined")
    assert.strictEqual(refused([1, undefined]).path, "/1")
  })

  it.each([
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY],
    ["2^53", 2 ** 53],
    ["-(2^53)", -(2 ** 53)],
    ["1e30", 1e30],
    ["bigint", 1n],
    ["function", () => 1],
    ["symbol", Symbol("s")],
    ["Map", new Map([["a", 1]])],
    ["Set", new Set([1])],
    ["Date", new Date(0)],
    ["invalid Date", new Date(Number.NaN)],
    ["Error", new Error("x")],
    ["RegExp", /x/],
    ["URL", new URL("http://localhost/")],
    ["Promise", Promise.resolve(1)],
    ["Uint8Array", new Uint8Array(1)],
    ["ArrayBuffer", new ArrayBuffer(1)],
    ["boxed string", Object("x")],
    [
      "class instance",
      new (class Point {
        x = 1
      })()
    ],
    ["object that inherits", Object.create({ x: 1 })],
    ["sparse array", new Array(3)],
    ["array with properties", Object.assign([1], { extra: 2 })],
    ["regex match", /(?<a>x)/.exec("x")],
    ["symbol key", { [Symbol("s")]: 1 }],
    [
      "revoked proxy",
      (() => {
        const { proxy, revoke } = Proxy.revocable({}, {})
        revoke()
        return proxy
      })()
    ]
  ])("refuses %s with a path and what to do, at the top and inside (A-13, A-14)", (_name, value) => {
    assert.strictEqual(refused(value).path, "")
    const inside = refused({ a: [0, { "b/c~d": value }] })
    assert.strictEqual(inside.path, "/a/1/b~1c~0d")
    assert.instanceOf(inside, InvalidJson)
    assert.include(inside.message, inside.path)
  })

  it("refuses toJSON instead of calling it (A-14)", () => {
    assert.strictEqual(refused({ toJSON: () => 1 }).path, "/toJSON")
  })

  it("says what to pass instead of what JSON does not have (A-14)", () => {
    assert.include(refused({ at: new Date(0) }).message, "toISOString")
    assert.include(refused({ at: new URL("http://localhost/") }).message, "href")
    assert.include(refused({ at: new Map() }).message, "Object.fromEntries")
    assert.include(refused({ at: 2 ** 60 }).message, "string")
  })

  it("refuses cycles, and keeps one value that stands in two places (A-14)", () => {
    const cycle: { self?: unknown; list: Array<unknown> } = { list: [] }
    cycle.list.push({ cycle })
    assert.strictEqual(refused(cycle).path, "/list/0/cycle")
    const shared = { x: 1 }
    assert.deepStrictEqual(kept([shared, shared]), [{ x: 1 }, { x: 1 }])
  })

  it("stops shared values that multiply, by the byte cap (A-16)", () => {
    let bomb: unknown = "0123456789"
    for (let i = 0; i < 40; i++) bomb = [bomb, bomb, bomb, bomb]
    assert.include(refused(bomb).problem, "bytes")
  })

  it("reads every getter and every Proxy property once (A-14)", () => {
    let getter = 0
    assert.deepStrictEqual(
      kept({
        get a() {
          return ++getter
        }
      }),
      { a: 1 }
    )
    assert.strictEqual(getter, 1)
    const reads = new Map<PropertyKey, number>()
    let listed = 0
    const proxy = new Proxy({ a: 0, b: [1] } as Record<string, unknown>, {
      get: (target, key) => {
        reads.set(key, (reads.get(key) ?? 0) + 1)
        return key === "a" ? reads.get(key) : Reflect.get(target, key)
      },
      ownKeys: (target) => {
        listed++
        return Reflect.ownKeys(target)
      }
    })
    assert.deepStrictEqual(kept(proxy), { a: 1, b: [1] })
    assert.deepStrictEqual(
      [...reads],
      [
        ["a", 1],
        ["b", 1]
      ]
    )
    assert.isAtMost(listed, 2)
  })

  it("turns what getters and traps throw into InvalidJson (A-14)", () => {
    const throwing = {
      ok: 1,
      get bad() {
        throw new Error("private detail")
      }
    }
    assert.strictEqual(refused({ in: throwing }).path, "/in/bad")
    assert.notInclude(refused(throwing).message, "private detail")
    for (const trap of ["get", "ownKeys", "getPrototypeOf", "getOwnPropertyDescriptor"]) {
      refused(
        new Proxy(
          { a: 1 },
          {
            [trap]: () => {
              throw new Error("trap")
            }
          }
        )
      )
    }
  })

  it("keeps __proto__ and constructor as data and pollutes nothing (A-15)", () => {
    const hostile: unknown = JSON.parse(
      '{"__proto__":{"x":1},"constructor":{"prototype":{"x":2}},"a":{"__proto__":null}}'
    )
    const copy = kept(hostile)
    assert.strictEqual(Reflect.get({}, "x"), undefined)
    assert.strictEqual(Object.getPrototypeOf(copy), Object.prototype)
    assert.deepStrictEqual(Object.keys(Object(copy)), ["__proto__", "constructor", "a"])
    const text = canonicalize(escape(copy))
    assert.strictEqual(text, '{"__proto__":{"x":1},"a":{"__proto__":null},"constructor":{"prototype":{"x":2}}}')
    assert.strictEqual(canonicalize(unescape(JSON.parse(text))), text)
    assert.strictEqual(Reflect.get({}, "x"), undefined)
  })

  it("counts exactly the canonical bytes that will be stored, one byte more is refused (AUD-06)", () => {
    for (let seed = 0; seed < 3000; seed++) {
      const value = anyJson(random(seed))
      const bytes = Buffer.byteLength(canonicalize(escape(kept(value))))
      assert.isTrue(Result.isSuccess(snapshot(value, { ...jsonLimits, bytes })), `seed ${seed}`)
      assert.isTrue(Result.isFailure(snapshot(value, { ...jsonLimits, bytes: bytes - 1 })), `seed ${seed}`)
    }
  })

  it("allows 64 KiB, 64 levels and 1000 keys, and not one more (AUD-06, A-16, R-10)", () => {
    kept("x".repeat(65_534))
    assert.include(refused("x".repeat(65_535)).problem, "65536 bytes")
    kept(nested(64))
    assert.include(refused(nested(65)).problem, "64 levels")
    const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 0]))
    kept(keys(1000))
    assert.include(refused(keys(1001)).problem, "1000 keys")
  })

  it("refuses bombs at the cap without overflowing the stack or blocking (A-16, R-13)", () => {
    const started = performance.now()
    refused(nested(1_000_000))
    refused(nested(1_000_000), { bytes: 1e9, depth: 1e9, keys: 1e9 })
    refused("[".repeat(5_000_000))
    refused(new Array(5_000_000).fill(0))
    refused({ ["k".repeat(5_000_000)]: 1 })
    // Linear work and no more: what a plain pass over as large a value takes, several times over.
    assert.isBelow(performance.now() - started, 20 * onePass())
  })

  it("cuts the path of an error and keeps it printable", () => {
    const error = refused({ [`${"k".repeat(500)}\ud800`]: Number.NaN })
    assert.isAtMost(error.path.length, 200)
    assert.isTrue(error.path.isWellFormed())
  })
})

describe("parseJson", () => {
  it("reads text through the same caps, and refuses before parsing what is too large or too deep (A-16, G20)", () => {
    assert.deepStrictEqual(Result.getOrThrow(parseJson(' {"a":[1,"]["]} ')), { a: [1, "]["] })
    const started = performance.now()
    const limits = { bytes: 10_000_000, depth: 64, keys: 1000 }
    assert.isTrue(Result.isFailure(parseJson("[".repeat(5_000_000))))
    assert.isTrue(Result.isFailure(parseJson("[".repeat(5_000_000), limits)))
    assert.isTrue(Result.isFailure(parseJson(`${"[".repeat(65)}${"]".repeat(65)}`, limits)))
    assert.isBelow(performance.now() - started, 10 * onePass())
    assert.isTrue(Result.isSuccess(parseJson(`${"[".repeat(64)}${"]".repeat(64)}`, limits)))
    assert.isTrue(Result.isSuccess(parseJson('"\\"[[[[[["', { ...limits, depth: 1 })))
  })

  it("refuses text that is no JSON, without quoting it", () => {
    const result = parseJson('{"password": hunter2}')
    assert.isTrue(Result.isFailure(result))
    if (Result.isFailure(result)) assert.notInclude(result.failure.message, "hunter2")
  })

  it("refuses numbers that JavaScript would change (A-13)", () => {
    for (const text of ["9007199254740993", "1e400", "-1e400", "100000000000000000000"]) {
      assert.isTrue(Result.isFailure(parseJson(text)), text)
    }
    assert.strictEqual(Result.getOrThrow(parseJson("9007199254740991")), 9007199254740991)
  })
})

describe.skipIf(!Vectors.present)("JSONTestSuite", () => {
  const files = Vectors.names("json-test-suite/test_parsing").filter((name) => name.endsWith(".json"))

  it("is there", () => assert.isAtLeast(files.length, 318))

  // -0 is the one value that may change.
  const withoutNegativeZero = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
  const outcomes = { same: 0, refused: 0, unparsable: 0 }

  it.each(files)(
    "%s comes back equal or is refused with InvalidJson; nothing is lost, nothing throws (A-12)",
    (name) => {
      const text = new TextDecoder("utf-8").decode(Vectors.bytes(`json-test-suite/test_parsing/${name}`))
      const parsed = Result.try(() => JSON.parse(text) as unknown)
      if (Result.isFailure(parsed)) {
        outcomes.unparsable++
        assert.isFalse(name.startsWith("y_"))
        assert.isTrue(Result.isFailure(parseJson(text)))
        return
      }
      const decoded = snapshot(parsed.success)
      if (Result.isFailure(decoded)) {
        outcomes.refused++
        assert.instanceOf(decoded.failure, InvalidJson)
        // Valid JSON is refused only for numbers that JavaScript has already changed.
        if (name.startsWith("y_")) assert.include(decoded.failure.problem, "2^53")
        return
      }
      outcomes.same++
      const stored = canonicalize(escape(decoded.success))
      assert.isTrue(stored.isWellFormed())
      assert.notMatch(stored, /(?<!\\)(?:\\\\)*\\u0000/)
      assert.deepStrictEqual(unescape(JSON.parse(stored)), withoutNegativeZero(parsed.success))
    }
  )

  it("splits as expected: most parse, few are refused", () => {
    assert.isAtLeast(outcomes.same, 110)
    assert.isAtMost(outcomes.refused, 20)
    assert.strictEqual(outcomes.same + outcomes.refused + outcomes.unparsable, files.length)
  })
})

/** Milliseconds, on this machine and now. */
const onePass = () => {
  const began = performance.now()
  JSON.stringify(new Array(5_000_000).fill(0))
  return performance.now() - began
}
