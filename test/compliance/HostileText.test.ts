import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bundleCover } from "../../src/schema/BundleCover.ts"
import { reportHtml } from "../../src/schema/ReportHtml.ts"
import { reportJson, reportMarkdown } from "../../src/schema/ReportText.ts"
import { htmlText, markdownText, shownText } from "../../src/schema/ShownText.ts"
import { Audit } from "../../src/services/Audit.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import { naughtyStrings } from "../schema/Vectors.ts"
import * as Logs from "./Logs.ts"

const ansi = [
  "\u001b[2J",
  "\u001b]0;title\u0007",
  "\u001b]8;;http://evil.example\u0007link",
  "\u001b]52;c;aGk=\u0007",
  "\u009b31m"
]
const bidi = ["\u202e", "\u202d", "\u2066", "\u2067", "\u2068", "\u200f", "\u061c"].map((mark) => `refund${mark}dnufer`)
const markup = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  '"><svg/onload=alert(1)>',
  "[click](javascript:alert(1))",
  "![x](http://evil.example/x.png)",
  "| a | b |\n| - | - |",
  "# heading\n\n- item",
  "```\ncode",
  "&lt;b&gt;",
  "www.evil.example and http://evil.example",
  "@everyone"
]
const hostile = [...ansi, ...bidi, ...markup, ...naughtyStrings()]

/** Code points that no output may have: they move a cursor, turn text around, or cannot be seen. */
const unsafe = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u
const hidden = (text: string) => text.replaceAll("\n", "")

const report = Effect.gen(function* () {
  const audit = yield* Audit
  for (const [i, text] of hostile.entries()) {
    yield* audit
      .log({
        kind: i % 2 === 0 ? "approval.granted" : "scope.violation",
        agentId: `a${text}`.slice(0, 200),
        sessionId: i % 3 === 0 ? undefined : `s${text}`.slice(0, 200),
        model: "m",
        metadata: { name: text, by: text, reason: text, action: text, result: text }
      })
      .pipe(Effect.ignore)
    yield* audit.log({ kind: `k${text}`.slice(0, 100), agentId: "a" }).pipe(Effect.ignore)
  }
  return yield* (yield* Compliance.Compliance).generateArticle12({ verifyChain: true })
})

describe("hostile text in reports", () => {
  it.effect(
    "nothing in JSON, Markdown, HTML or the cover moves a cursor, turns text around or hides (T-13, L-07)",
    () =>
      Effect.gen(function* () {
        const found = yield* report
        for (const text of [reportJson(found), reportMarkdown(found), reportHtml(found), bundleCover(found, null)]) {
          assert.notMatch(hidden(text), unsafe)
        }
      }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("a page has no element, attribute or script that the report did not write, and loads nothing (T-13)", () =>
    Effect.gen(function* () {
      const page = reportHtml(yield* report)
      const tags = new Set([...page.matchAll(/<\/?([a-zA-Z!][a-zA-Z0-9]*)/g)].map((match) => match[1]!.toLowerCase()))
      const written =
        "!doctype html head meta title style body main header p h1 h2 h3 section div dl dt dd span table thead tbody tr th td ul li bdi"
      assert.deepStrictEqual(
        [...tags].filter((tag) => !written.split(" ").includes(tag)),
        []
      )
      assert.include(page, "default-src 'none'")
      // In a tag; what stands in text is text.
      assert.notMatch(page, /<[^>]*\s(?:on\w+|src|href|style)\s*=/i)
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("Markdown keeps one row a line, and makes no link, image or HTML of what is data (T-13)", () =>
    Effect.gen(function* () {
      const lines = reportMarkdown(yield* report).split("\n")
      for (const line of lines) {
        assert.notMatch(line, /(?<!\\)\]\(|(?<!\\)!\[|<[a-z/!]/i, line)
        assert.notMatch(line, /(?<!\\):\/\/|(?<!\\)`/, line)
      }
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect(
    "10 MB in a row make no report longer than a page or two: clipped, with its length and its hash (T-13)",
    () =>
      Effect.gen(function* () {
        const { hash } = yield* ChainKeys.ChainKeys
        const long = "x".repeat(10_000_000)
        const shown = shownText(long, 300, hash)
        assert.isBelow(shown.length, 400)
        assert.match(shown, /… \(\+9999700 characters, sha256 [0-9a-f]{16}\)$/)
        // A pair is not torn apart.
        assert.strictEqual(shownText(`${"x".repeat(299)}😀y`, 300, hash).codePointAt(299), "…".codePointAt(0))
      }).pipe(Effect.provide(Logs.layer))
  )

  it("escapes are what Markdown and HTML readers turn back into the text", () => {
    assert.strictEqual(htmlText(`<a href="x">&'`), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;")
    assert.strictEqual(markdownText("a|b [c](d) *e* <f> 1. g"), "a\\|b \\[c\\](d) \\*e\\* &lt;f&gt; 1. g")
    assert.strictEqual(markdownText("- x\ny"), "\\- x y")
    assert.strictEqual(markdownText("1. x"), "1\\. x")
  })
})
