import { Effect, Layer } from "effect"
import { Hex } from "effect/encoding"
import { HttpApiBuilder } from "effect/http-api"
import { CurrentWorkflow } from "../schema/api/Access.ts"
import { PlatformApi } from "../schema/api/PlatformApi.ts"
import { hexBytes } from "../schema/HexBytes.ts"
import { answerTo } from "../schema/WitnessAdoption.ts"
import type { WitnessProblem } from "../schema/WitnessVerdict.ts"
import { WitnessStore } from "../services/WitnessStore.ts"
import { makeDoor } from "./Membership.ts"
import { logged } from "./Unavailable.ts"
import { Witness } from "./Witness.ts"

const forDeployments = HttpApiBuilder.group(
  PlatformApi,
  "witness",
  Effect.fnUntraced(function* (handlers) {
    const witness = yield* Witness
    const store = yield* WitnessStore
    return handlers
      .handle(
        "show",
        Effect.fnUntraced(function* ({ payload }) {
          const verdict = yield* logged(
            witness.show(yield* CurrentWorkflow, {
              note: payload.note,
              verifierKey: payload.verifier_key,
              oldSize: payload.old_size,
              proof: payload.proof ?? null,
              peaks: payload.peaks?.map(hexBytes) ?? null,
              leaves:
                payload.leaves?.map((leaf) =>
                  "leaf_hash" in leaf
                    ? { leafHash: hexBytes(leaf.leaf_hash) }
                    : { chain: leaf.chain, seq: leaf.seq, hash: hexBytes(leaf.hash) }
                ) ?? null
            })
          )
          switch (verdict._tag) {
            case "Consistent":
              return { origin: verdict.origin, size: verdict.size, root: Hex.encode(verdict.root) }
            case "Stale":
              return yield* stale(verdict.size)
            case "Refused":
              return yield* verdict.problem === "unreadable"
                ? Effect.fail({ error: "invalid" } as const)
                : refused(verdict.problem)
          }
        })
      )
      .handle(
        "head",
        Effect.fnUntraced(function* ({ query }) {
          const place = yield* CurrentWorkflow
          const logs = yield* logged(store.list(place))
          const own = logs.find(({ origin }) => origin === query.origin)
          const alarms = yield* logged(store.alarms(place, mostShown))
          const adoptions = yield* logged(store.adoptions(place, mostShown))
          const open = alarms.find((alarm) => alarm.origin === query.origin && answerTo(alarm, adoptions) === undefined)
          return {
            log: own === undefined ? null : { size: own.size, note: own.note, seen_ms: own.seenMs },
            others: logs
              .filter(({ origin, size }) => origin !== query.origin && size > 0)
              .sort((left, right) => right.seenMs - left.seenMs)
              .slice(0, mostOthers)
              .map(({ note }) => note),
            alarm: open === undefined ? null : { problem: open.problem, seen_ms: open.seenMs }
          }
        })
      )
      .handle(
        "adopt",
        Effect.fnUntraced(function* ({ payload: { checkpoint, peaks, statement } }) {
          const verdict = yield* logged(
            witness.adopt(yield* CurrentWorkflow, { statement, checkpoint, peaks: peaks.map(hexBytes) })
          )
          if (verdict === null) return yield* Effect.fail({ error: "not_found" } as const)
          switch (verdict._tag) {
            case "Adopted": {
              const { origin, root, size } = verdict.adoption
              return { origin, size, root: Hex.encode(root) }
            }
            case "Stale":
              return yield* stale(verdict.size)
            case "Refused":
              return yield* refused(verdict.problem)
          }
        })
      )
  })
)

const stale = (size: number) => Effect.fail({ error: "stale_size" as const, size })
const refused = (problem: WitnessProblem) => Effect.fail({ error: "refused" as const, problem })
const mostShown = 100
const mostOthers = 10

const forPeople = HttpApiBuilder.group(
  PlatformApi,
  "witnessView",
  Effect.fnUntraced(function* (handlers) {
    const store = yield* WitnessStore
    const { inWorkflow } = yield* makeDoor
    return handlers.handle(
      "status",
      Effect.fnUntraced(function* ({ params }) {
        yield* inWorkflow(params, "viewer", "witness")
        const logs = yield* logged(store.list(params))
        const alarms = yield* logged(store.alarms(params, mostShown))
        const adoptions = yield* logged(store.adoptions(params, mostShown))
        return {
          logs: logs.map(({ note, origin, root, seenMs, size, verifierKey }) => ({
            origin,
            verifier_key: verifierKey,
            size,
            root,
            note,
            seen_ms: seenMs
          })),
          alarms: alarms.map((alarm) => ({
            alarm_id: alarm.alarm,
            origin: alarm.origin,
            problem: alarm.problem,
            note: alarm.note,
            kept_note: alarm.keptNote,
            seen_ms: alarm.seenMs,
            answered_by: answerTo(alarm, adoptions)?.adoption ?? null
          })),
          adoptions: adoptions.map((one) => ({
            adoption_id: one.adoption,
            origin: one.origin,
            by: one.by,
            reason: one.reason,
            at: one.at,
            from_size: one.fromSize,
            size: one.size,
            statement: one.statement,
            kept_note: one.keptNote,
            seen_ms: one.seenMs
          }))
        }
      })
    )
  })
)

/** Where checkpoints are shown, and where people see what was refused and who has answered for it. */
export const layer = Layer.merge(forDeployments, forPeople)
