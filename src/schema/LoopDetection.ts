/**
 * Notices an agent that repeats itself without getting anything new (BEY-15). Pure: admission returns the session's last
 * calls, this decides, and a hit releases the ticket as refused (DEC-21).
 */
import type { LoopPolicy, LoopStep } from "./Loop.ts"

/** The call that is about to be made. */
export interface CurrentCall {
  readonly signature: string
  readonly tool: string
}

/** `count` is what the call would make it, `limit` what is allowed: calls in a row for `repeat`, rounds for `cycle`. */
export interface Detection {
  readonly pattern: "repeat" | "cycle"
  readonly count: number
  readonly limit: number
}

export type Progress = NonNullable<LoopPolicy["progress"]>

/**
 * Null while there is progress: an identical call with another result is progress, a call whose result is unknown is none.
 * Only 32 earlier calls are known: a cycle of 2, 3 or 4 is seen up to 16, 10 or 8 rounds, a row up to 32 calls. An allowance
 * beyond that never fires here; the count of the loop window still does.
 */
export const detect = (recent: ReadonlyArray<LoopStep>, current: CurrentCall, progress: Progress): Detection | null => {
  const polling = pollingAllowance(progress, current.tool)
  const repeats = identicalInARow(recent, current.signature) + 1
  const maxRepeats = polling ?? progress.maxRepeats
  if (repeats > maxRepeats) return { pattern: "repeat", count: repeats, limit: maxRepeats }

  const maxCycles = Math.max(progress.maxCycles, polling ?? 0)
  for (const length of cycleLengths) {
    const covered = coveredByCycle(recent, current.signature, length)
    if (covered > maxCycles * length) return { pattern: "cycle", count: Math.ceil(covered / length), limit: maxCycles }
  }
  return null
}

const cycleLengths = [2, 3, 4] as const

/** Tool names count without case, as in loop windows (LOP-02). */
const pollingAllowance = ({ polling }: Progress, tool: string): number | undefined =>
  Object.entries(polling).find(([name]) => name.toLowerCase() === tool.toLowerCase())?.[1]

const sameResult = (a: string | null, b: string | null) => a === null || b === null || a === b

/** How many of the last calls are this very call, all with one result. */
const identicalInARow = (recent: ReadonlyArray<LoopStep>, signature: string): number => {
  let result: string | null = null
  let count = 0
  for (let i = recent.length - 1; i >= 0; i--) {
    const step = recent[i]!
    if (step.signature !== signature || !sameResult(step.resultHash, result)) break
    result ??= step.resultHash
    count += 1
  }
  return count
}

/** How many calls, this one included, repeat with the given period and bring the results of the round before; 0 when none do. */
const coveredByCycle = (recent: ReadonlyArray<LoopStep>, signature: string, length: number): number => {
  if (recent.length < length || recent[recent.length - length]!.signature !== signature) return 0
  const round = recent.slice(-length)
  // One call alone is no cycle; `identicalInARow` judges it.
  if (round.every((step) => step.signature === signature)) return 0
  let repeated = 1
  for (let i = recent.length - 1; i >= length; i--) {
    const step = recent[i]!
    const before = recent[i - length]!
    if (step.signature !== before.signature || !sameResult(step.resultHash, before.resultHash)) break
    repeated += 1
  }
  return repeated + length
}
