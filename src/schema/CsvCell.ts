/**
 * One cell of a CSV file. A spreadsheet takes a cell that begins with one of = + - @ TAB CR for a formula and runs it: such a
 * cell gets a single quote in front, which shows that it is text. A guarded cell is not guarded again (CST-15).
 */
export const guardCell = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text)

/** A guarded row by RFC 4180: cells with a quote, a comma or a line break are quoted. */
export const csvRow = (cells: ReadonlyArray<string>): string => `${cells.map(quoted).join(",")}\r\n`

const quoted = (cell: string): string => {
  const text = guardCell(cell)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
