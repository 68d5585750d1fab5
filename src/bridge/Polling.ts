/**
 * How long to wait before the next question about a request (FWD-04, FWD-05): 2 s; after errors twice as long each time, 10 s
 * at most; after every fifth error in a row a minute, once. Up to half a second more, so that many do not ask at once.
 */
export const pollDelayMs = (errorsInARow: number, jitter: number): number => {
  const step = errorsInARow % errorsBeforeHold
  if (errorsInARow > 0 && step === 0) return holdMs
  return Math.min(maxMs, baseMs * 2 ** step) + Math.floor(jitter * jitterMs)
}

const baseMs = 2_000
const jitterMs = 500
const maxMs = 10_000
const errorsBeforeHold = 5
const holdMs = 60_000
