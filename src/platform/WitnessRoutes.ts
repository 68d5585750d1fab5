import { Effect, Layer, Result } from "effect"
import { Hex } from "effect/encoding"
import { HttpApiBuilder } from "effect/http-api"
import { CurrentWorkflow } from "../schema/api/Access.ts"
import { PlatformApi } from "../schema/api/PlatformApi.ts"
import { WitnessStore } from "../services/WitnessStore.ts"
import { makeDoor } from "./Membership.ts"
import { logged } from "./Unavailable.ts"
import { Witness } from "./Witness.ts"

const forDeployments = HttpApiBuilder.group(
  PlatformApi,
  "witness",
  Effect.fnUntraced(function* (handlers) {
    const witness = yield* Witness
    return handlers.handle(
      "show",
      Effect.fnUntraced(function* ({ payload }) {
        const verdict = yield* logged(
          witness.show(yield* CurrentWorkflow, {
            note: payload.note,
            verifierKey: payload.verifier_key,
            oldSize: payload.old_size,
            proof: payload.proof ?? null,
            leaves:
              payload.leaves?.map(({ chain, hash, seq }) => ({
                chain,
                seq,
                hash: Result.getOrElse(Hex.decode(hash), () => new Uint8Array(0))
              })) ?? null
          })
        )
        switch (verdict._tag) {
          case "Consistent":
            return { origin: verdict.origin, size: verdict.size, root: Hex.encode(verdict.root) }
          case "Stale":
            return yield* Effect.fail({ error: "stale_size" as const, size: verdict.size })
          case "Refused":
            return yield* verdict.problem === "unreadable"
              ? Effect.fail({ error: "invalid" } as const)
              : Effect.fail({ error: "refused" as const, problem: verdict.problem })
        }
      })
    )
  })
)

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
        const alarms = yield* logged(store.alarms(params, 100))
        return {
          logs: logs.map(({ note, origin, root, seenMs, size, verifierKey }) => ({
            origin,
            verifier_key: verifierKey,
            size,
            root,
            note,
            seen_ms: seenMs
          })),
          alarms: alarms.map(({ alarm, keptNote, note, origin, problem, seenMs }) => ({
            alarm_id: alarm,
            origin,
            problem,
            note,
            kept_note: keptNote,
            seen_ms: seenMs
          }))
        }
      })
    )
  })
)

/** Where checkpoints are shown, and where people see what was refused. */
export const layer = Layer.merge(forDeployments, forPeople)
