import { assert, describe, it } from "@effect/vitest"
import { terminalJson, terminalText } from "../../src/schema/TerminalText.ts"
import { naughtyStrings } from "../schema/Vectors.ts"

/** What a terminal would obey, or a reader would not see. */
const dangerous =
  /[\p{Cc}\p{Cs}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/u

const attacks: ReadonlyArray<readonly [name: string, text: string]> = [
  ["colour", "\u001b[31mred\u001b[0m"],
  ["clear screen", "\u001b[2J\u001b[H"],
  ["window title (OSC 0)", "\u001b]0;pwned\u0007"],
  ["link (OSC 8)", "\u001b]8;;https://evil.example\u001b\\click\u001b]8;;\u001b\\"],
  ["clipboard (OSC 52)", "\u001b]52;c;cm0gLXJmIC8=\u0007"],
  ["C1 control sequence", "\u009b31mred"],
  ["C1 operating system command", "\u009d0;pwned\u009c"],
  ["device control (DCS)", '\u001bP$q"p\u001b\\'],
  ["backspaces", "ok\b\bno"],
  ["carriage return", "denied\rgranted"],
  ["line break", "a\nlevel=info granted"],
  ["vertical tab and form feed", "a\u000bb\u000cc"],
  ["right-to-left override", "user\u202etxt.exe"],
  ["isolates", "\u2066a\u2067b\u2068c\u2069"],
  ["embeddings", "\u202aa\u202bb\u202c"],
  ["zero width", "pay\u200bpal\u200c\u200d\ufeff"],
  ["tag characters", "x\u{e0041}\u{e0042}\u{e007f}"],
  ["line separators", "a\u2028b\u2029c"],
  ["lone surrogate", "a\ud800b"]
]

describe("text on a terminal", () => {
  for (const [name, text] of attacks) {
    it(`shows ${name} instead of obeying it (L-07, T-13)`, () => {
      const shown = terminalText(text)
      assert.notMatch(shown, dangerous)
      assert.include(shown, "\\")
      assert.isTrue(shown.isWellFormed())
    })
  }

  it("no naughty string gets through, as text or as JSON, and JSON says the same to a parser (L-07, T-13)", () => {
    for (const text of naughtyStrings()) {
      assert.notMatch(terminalText(text), dangerous)
      const json = terminalJson({ text })
      assert.notMatch(json, dangerous)
      assert.deepStrictEqual(JSON.parse(json), { text })
    }
  })

  it("leaves ordinary text of every script as it is", () => {
    for (const text of ["refund order 4711", "Zürich", "研究エージェント", "помощник", "é", "\\n is two characters"]) {
      assert.strictEqual(terminalText(text), text)
    }
  })

  it("clips what is too long and says how much is missing (T-13)", () => {
    assert.strictEqual(terminalText("abcdef", 3), "abc… (+3 characters)")
    assert.strictEqual(terminalText("abc", 3), "abc")
  })

  it("a pile of combining marks does not paint over other lines (T-13)", () => {
    const shown = terminalText(`a${"\u0301".repeat(50)}`)
    assert.isAtMost([...shown].filter((char) => char === "\u0301").length, 4)
  })

  it("takes no longer for ten megabytes than for the part that is shown (R-07)", () => {
    const huge = "\u001b".repeat(10_000_000)
    const started = performance.now()
    assert.isBelow(terminalText(huge, 100).length, 1000)
    assert.isBelow(performance.now() - started, 200)
  })

  it("whole numbers beyond 2^53 are text in JSON, so that no reader rounds money", () => {
    assert.strictEqual(terminalJson({ nano: 9_007_199_254_740_993n }), '{"nano":"9007199254740993"}')
  })
})
