import { Effect } from "effect"
import type { Audit } from "../src/services/Audit.ts"
import { perOperation } from "./Rounds.ts"

/** Writes that many events of about 800 bytes into so many chains, which lie mixed in the table. */
export const fill = (audit: Audit["Service"], rows: number, chains: number) => {
  const callers = 250
  return perOperation(callers, rows / callers, (caller, n) =>
    audit.log({
      kind: "tool.call",
      agentId: `agent-${(caller + n) % 20}`,
      sessionId: sessionOf((n * callers + caller) % chains),
      metadata: { note: "a row of a benchmark", number: n, list: ["a", "b", "c"] }
    })
  ).pipe(
    Effect.andThen(audit.stats),
    Effect.andThen(({ spooled }) => (spooled > 0 ? Effect.die(new Error("events were spooled")) : Effect.void))
  )
}

export const sessionOf = (n: number) => `filled-${n}`
