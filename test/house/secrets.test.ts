import { assert, describe, it } from "@effect/vitest"
import { files, read } from "./Tree.ts"

const text = /\.(ts|js|mjs|json|sql|md|ya?ml|sh|html|css|txt)$|(^|\/)run$/
const own = "test/house/secrets.test.ts"
const all = files().filter((file) => text.test(file) && file !== "package-lock.json" && file !== own)

const shapes: ReadonlyArray<readonly [string, RegExp]> = [
  [
    "a database URL with a password",
    /\bpostgres(?:ql)?:\/\/[^\s:/@"'`]+:(?!\$\{|\*|<|secret@|password@|hunter2|canary)[^\s@"'`]{3,}@/
  ],
  ["an OpenAI or Anthropic key", /\bsk-(?:ant-)?[A-Za-z0-9]{20,}/],
  ["an AWS key", /\bAKIA[0-9A-Z]{16}\b/],
  ["a GitHub token", /\bgh[ps]_[A-Za-z0-9]{30,}/],
  ["a private key", /-----BEGIN (?:RSA |EC )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{40,}/]
]

describe("the tree", () => {
  for (const [what, shape] of shapes) {
    it(`holds no ${what} (SEC-04)`, () => {
      assert.deepStrictEqual(
        all.filter((file) => shape.test(read(file))),
        []
      )
    })
  }

  it("compares no MAC, token or signature with `===` (K-13)", () => {
    // What a call looks like to loop detection; and a lookup of a MAC that was judged before.
    const allowed = ["src/schema/LoopDetection.ts", "src/layers/memory/GateUse.ts"]
    const secret = "[\\w.!]*(?:h?mac|token|signature|H?[mM]ac|Token|Signature)\\b"
    const value = "(?!null\\b|undefined\\b|\"|')"
    const compared = new RegExp(`(?<!typeof )\\b${secret}\\)? [!=]== ${value}|[!=]== ${secret}(?![.(\\["'])`)
    const guilty = "found.mac === given\nif (a.hmac !== row.hmac)\nx === decisionMac".split("\n")
    assert.isTrue(guilty.every((line) => compared.test(line)))
    assert.isFalse(compared.test("row.signature === null") || compared.test('typeof mac !== "string"'))
    const found = files("src").filter((file) => file.endsWith(".ts") && compared.test(read(file)))
    assert.deepStrictEqual([...found].sort(), [...allowed].sort())
  })

  it("uses no name with `kill` for the halt switch (DEC-03, PRS-13)", () => {
    const banned = /AgentKilledError|is_?killed|assert_?alive|KillRequest|_killed_(?:by|at)|killed_?cache/i
    assert.deepStrictEqual(
      files("src", "migrations").filter((file) => banned.test(read(file))),
      []
    )
  })

  it("names no other product but in the one line of the README that credits the design (DEC-01)", () => {
    const others = /code\s?-?atelier/i
    const named = all.flatMap((file) =>
      read(file)
        .split("\n")
        .filter((line) => others.test(line))
        .map(() => file)
    )
    assert.isTrue(named.every((file) => file === "README.md") && named.length <= 1, named.join(", "))
  })
})
