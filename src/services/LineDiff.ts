import { diffLines } from "diff"
import type { PromptChange } from "../schema/Prompt.ts"

/**
 * Two texts line by line. Beyond `maxEdits` changed lines there is nothing to compare: one text is removed, the other added,
 * since looking for the least change takes time quadratic in it and would block the process (INV-3).
 */
export const lineDiff = (before: string, after: string): ReadonlyArray<PromptChange> => {
  const found = diffLines(before, after, { maxEditLength: maxEdits })
  if (found === undefined) {
    return [
      { change: "removed", text: before },
      { change: "added", text: after }
    ]
  }
  return found.map(({ added, removed, value }) => ({
    change: added ? "added" : removed ? "removed" : "same",
    text: value
  }))
}

const maxEdits = 1000
