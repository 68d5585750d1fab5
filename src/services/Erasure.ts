import { Context, Effect, Layer } from "effect"
import { Identifier } from "../schema/Identifier.ts"
import { OperatorId } from "../schema/Ids.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import type { LegalHold } from "../schema/LegalHold.ts"
import { RetentionRefused } from "../schema/RetentionError.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument, reasonOf } from "./Arguments.ts"
import { ChainKeys } from "./ChainKeys.ts"
import * as OperatorRow from "./OperatorRow.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { RetentionStore } from "./RetentionStore.ts"
import { Signal } from "./Signal.ts"
import { StoreTransaction } from "./StoreTransaction.ts"
import { SubjectKeyStore } from "./SubjectKeyStore.ts"
import { referenceOf } from "./SubjectReference.ts"

/** What erasing a subject would take away, and what forbids it. */
export interface ErasurePlan {
  readonly keys: number
  readonly holds: ReadonlyArray<LegalHold>
}

export interface Erased {
  readonly keys: number
  /** Stands for the subject in the audit row: HMAC-SHA-256 under a key of the audit secret, in hex. */
  readonly reference: string
}

/** Makes everything that was sealed for a subject unreadable for good, while the log still verifies (BEY-12, A-30). */
export class Erasure extends Context.Service<
  Erasure,
  {
    readonly plan: (subject: string) => Effect.Effect<ErasurePlan, InvalidInput | StoreError>
    /**
     * Forgets the subject's keys and records it in chain `operator`, in one transaction. Refused under a legal hold. A subject
     * without keys is recorded too: that there was nothing is an answer that somebody may have to prove.
     */
    readonly erase: (
      subject: string,
      options: { readonly by: string; readonly reason?: string | undefined }
    ) => Effect.Effect<Erased, InvalidInput | RetentionRefused | StoreError>
  }
>()("effect-governance/services/Erasure") {}

export const make = Effect.gen(function* () {
  const keys = yield* SubjectKeyStore
  const retention = yield* RetentionStore
  const transaction = yield* StoreTransaction
  const chainKeys = yield* ChainKeys
  const signal = yield* Signal
  const record = yield* OperatorRow.make

  const reference = referenceOf(chainKeys)

  const refuseIfHeld = Effect.fnUntraced(function* (subject: string) {
    const holds = yield* retention.holdsOnSubject(subject)
    if (holds.length > 0) return yield* new RetentionRefused({ problem: "held", chain: "", holds })
  })

  return Erasure.of({
    plan: Effect.fn("Erasure.plan")(function* (given) {
      const subject = yield* decodeArgument(Subject, "subject", given)
      return { keys: (yield* keys.idsOf(subject)).length, holds: yield* retention.holdsOnSubject(subject) }
    }),
    erase: Effect.fn("Erasure.erase")(function* (given, options) {
      const subject = yield* decodeArgument(Subject, "subject", given)
      const by = yield* decodeArgument(OperatorId, "by", options.by)
      const reason = options.reason === undefined ? null : yield* reasonOf(options.reason)
      const named = reference(subject)
      const erased = yield* transaction
        .run(
          Effect.gen(function* () {
            yield* refuseIfHeld(subject)
            const ids = yield* keys.erase(subject)
            yield* record("audit.subject_erased", { by, reason, subject: named, keys: [...ids] })
            return ids.length
          })
        )
        .pipe(
          // A hold that was set in between is the database's refusal; it has a name by now.
          Effect.catchTag("StoreError", (error) =>
            error.problem === "refused" ? Effect.andThen(refuseIfHeld(subject), Effect.fail(error)) : Effect.fail(error)
          )
        )
      yield* signal.publish("subjects", "erased")
      return { keys: erased, reference: named }
    })
  })
})

export const layer = Layer.effect(Erasure, make).pipe(Layer.provide(PooledRandom.layer))

/** As marks have it: 1 to 256 characters once normalised. */
const Subject = Identifier(256)
