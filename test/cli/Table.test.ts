import { assert, describe, it } from "@effect/vitest"
import { CliOutput } from "effect/cli"
import { facts, table } from "../../src/cli/Table.ts"

const columns = [
  { title: "ID", keep: true, value: (row: ReadonlyArray<string>) => row[0]! },
  { title: "N", right: true, keep: true, value: (row: ReadonlyArray<string>) => row[1]! },
  { title: "TEXT", value: (row: ReadonlyArray<string>) => row[2]! }
]
const rows = [
  ["billing-agent", "1", "short"],
  ["研究", "1000", "a very long text that does not fit into a narrow terminal at all"]
]
const widths = (text: string) => text.split("\n").map((line) => CliOutput.displayWidth(line))

describe("tables", () => {
  it("align by the cells that a terminal draws, wide characters included", () => {
    const lines = table(columns, rows).split("\n")
    const starts = lines.map((line, i) =>
      CliOutput.displayWidth(line.slice(0, line.indexOf(["TEXT", "short", "a very"][i]!)))
    )
    assert.strictEqual(new Set(starts).size, 1)
  })

  it("fit the terminal, clip with an ellipsis, and never clip an id", () => {
    const text = table(columns, rows, 40)
    assert.isTrue(widths(text).every((width) => width <= 40))
    assert.include(text, "billing-agent")
    assert.include(text, "研究")
    assert.include(text, "…")
  })

  it("clip nothing where there is no terminal", () => {
    assert.include(table(columns, rows), rows[1]![2]!)
  })

  it("end in a terminal of one column as in any other", () => {
    assert.include(table(columns, rows, 1), "billing-agent")
  })

  it("make every cell safe (L-07)", () => {
    assert.notInclude(table(columns, [["\u001b[2J", "1", "\u202e"]]), "\u001b")
    assert.notInclude(facts([["agent", "\u001b[2J"]]), "\u001b")
  })
})
