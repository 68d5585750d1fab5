import { assert, describe, it } from "@effect/vitest"
import { csvRow, guardCell } from "../../src/schema/CsvCell.ts"

describe("CSV cells (CST-15)", () => {
  it("quote-prefix what a spreadsheet would run, and nothing else", () => {
    for (const start of ["=", "+", "-", "@", "\t", "\r"]) {
      assert.strictEqual(guardCell(`${start}cmd|' /C calc'!A0`), `'${start}cmd|' /C calc'!A0`)
    }
    for (const plain of ["", "a=b", "1-2", " =1", "gpt-4o", "'=1", "ü", "＝1"])
      assert.strictEqual(guardCell(plain), plain)
  })

  it("are the same after a second time, and never begin with a formula", () => {
    const pieces = ["=", "+", "-", "@", "\t", "\r", "'", '"', ",", "\n", "a", ""]
    for (const a of pieces)
      for (const b of pieces)
        for (const c of pieces) {
          const guarded = guardCell(a + b + c)
          assert.strictEqual(guardCell(guarded), guarded)
          assert.notMatch(guarded, /^[=+\-@\t\r]/)
        }
  })

  it("make rows that RFC 4180 readers take apart again", () => {
    const cells = ["plain", 'say "hi"', "a,b", "two\nlines", "=1+1", ""]
    assert.strictEqual(csvRow(cells), 'plain,"say ""hi""","a,b","two\nlines",\'=1+1,\r\n')
  })
})
