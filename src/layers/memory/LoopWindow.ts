/** Sliding windows of call times, one per tool of a session (LOP-02). */
import type { LoopCount } from "../../schema/Call.ts"
import type { LoopPolicy } from "../../schema/Loop.ts"
import type { SessionState } from "./MemoryState.ts"

/** Counts one call in its window and says how full that is now. Refused calls count too: the agent still asks. */
export const countCall = (
  session: SessionState,
  tool: string,
  policy: LoopPolicy,
  nowMs: number,
  maxTools: number
): LoopCount => {
  const calls = session.windows.get(tool) ?? openWindow(session, tool, maxTools)
  calls.push(nowMs)
  prune(calls, nowMs - policy.windowSeconds * 1000)
  return { count: calls.length, maxCalls: policy.maxCalls, windowSeconds: policy.windowSeconds }
}

/** How full the fullest window of the session is, without counting. */
export const fullestWindow = (session: SessionState | undefined, policy: LoopPolicy, nowMs: number): LoopCount => {
  const from = nowMs - policy.windowSeconds * 1000
  const counts =
    session === undefined ? [] : [...session.windows.values()].map((calls) => calls.filter((at) => at > from).length)
  return { count: Math.max(0, ...counts), maxCalls: policy.maxCalls, windowSeconds: policy.windowSeconds }
}

/** A window that counts more than any policy allows needs no exact number; the oldest calls go. */
const longestWindow = 10_000

const openWindow = (session: SessionState, tool: string, maxTools: number): Array<number> => {
  if (session.windows.size >= maxTools) {
    for (const oldest of session.windows.keys()) {
      session.windows.delete(oldest)
      break
    }
  }
  const calls: Array<number> = []
  session.windows.set(tool, calls)
  return calls
}

const prune = (calls: Array<number>, from: number) => {
  let gone = 0
  while (gone < calls.length && calls[gone]! <= from) gone += 1
  if (gone > 0) calls.splice(0, gone)
  if (calls.length > longestWindow) calls.splice(0, calls.length - longestWindow)
}
