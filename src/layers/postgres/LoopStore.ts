import { Effect, Layer } from "effect"
import { LoopStore } from "../../services/LoopStore.ts"
import { storable } from "./AdmissionStatements.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** Loop windows outside of admission: the same rows, counted under the same lock. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("LoopStore")

  return LoopStore.of({
    record: (agentId, sessionId, tool) =>
      Effect.map(
        ask("record", `SELECT r_count, r_most, r_seconds, r_raises FROM ${prefix}governance_record_call($1, $2, $3)`, [
          agentId,
          sessionId ?? "",
          storable(tool.toLowerCase())
        ]),
        ([row]) =>
          row === undefined || row[1] === null
            ? null
            : {
                count: Number(row[0]),
                maxCalls: Number(row[1]),
                windowSeconds: Number(row[2]),
                action: row[3] === true ? "raise" : "log"
              }
      ),

    peek: (agentId, sessionId) =>
      Effect.map(ask("peek", peek(prefix), [agentId, sessionId ?? ""]), ([row]) =>
        row === undefined
          ? null
          : { count: Number(row[0] ?? 0), maxCalls: Number(row[1]), windowSeconds: Number(row[2]) }
      )
  })
})

export const layer = Layer.effect(LoopStore, make)

const peek = (
  prefix: string
) => `WITH clock AS (SELECT (extract(epoch FROM ${prefix}governance_now()) * 1000000)::bigint AS us)
SELECT (
    SELECT max((SELECT count(*) FROM unnest(w.calls) AS c(at) WHERE c.at > clock.us - l.limits[2] * 1000000))
      FROM ${prefix}governance_agents a
      JOIN ${prefix}governance_loop_windows w ON w.root = a.root AND w.agent = a.agent
     WHERE a.agent = l.agent AND w.session = $2), l.limits[1], l.limits[2]
  FROM clock, ${prefix}governance_policies l WHERE l.agent = $1 AND l.kind = 'loop' AND l.body IS NOT NULL`
