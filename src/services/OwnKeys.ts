import { Duration, Effect, Layer, Schedule } from "effect"
import type { AgentKeyFingerprint } from "../schema/AgentKey.ts"
import type { AgentId } from "../schema/Ids.ts"
import { machinery } from "../schema/OperatorDraft.ts"
import { AgentKeys } from "./AgentKeys.ts"
import { Identity } from "./Identity.ts"
import { Settings } from "./Settings.ts"

/**
 * Registers the keys of this process as they come into use, so that others can check what they sign, puts down those that
 * were revoked or are another agent's, and warns about those that cannot be used (K-09). A database that does not answer holds
 * up nothing: rows are signed meanwhile, and can be judged once it has answered.
 */
export const run = Effect.gen(function* () {
  const identity = yield* Identity
  const registry = yield* AgentKeys
  const { haltCacheTtl } = yield* Settings
  const registered = new Set<AgentKeyFingerprint>()
  const warned = new Set<AgentId>()

  const tell = Effect.suspend(() => {
    const fresh = identity.failures().filter(({ agentId }) => !warned.has(agentId))
    return Effect.forEach(fresh, (failure) => {
      warned.add(failure.agentId)
      return Effect.logWarning("identity.signing_degraded", failure.message, failure.recoveryHint)
    })
  })

  const register = Effect.suspend(() =>
    Effect.forEach(
      identity.signers().filter(({ fingerprint }) => !registered.has(fingerprint)),
      (signer) =>
        registry.enrol(signer, machinery).pipe(
          Effect.tap(() => Effect.sync(() => registered.add(signer.fingerprint))),
          Effect.catchTag("AgentKeyRefused", ({ problem }) =>
            Effect.sync(() => identity.withdraw(signer.fingerprint, problem === "revoked" ? "revoked" : "taken"))
          )
        )
    )
  )

  const putDown = Effect.map(registry.list, (keys) => {
    for (const { fingerprint, revocation } of keys) {
      if (revocation !== null && registered.has(fingerprint)) identity.withdraw(fingerprint, "revoked")
    }
  })

  const look = Effect.suspend(() => {
    identity.changed.closeUnsafe()
    return Effect.andThen(Effect.andThen(register, putDown), tell)
  })

  yield* look.pipe(
    Effect.retry(patience),
    Effect.andThen(Effect.raceFirst(identity.changed.await, Effect.sleep(haltCacheTtl))),
    Effect.forever
  )
})

/** Nothing runs where nobody signs. */
export const layer = Layer.effectDiscard(
  Effect.flatMap(Identity, ({ signerOf }) => (signerOf === null ? Effect.void : Effect.asVoid(Effect.forkScoped(run))))
)

const patience = Schedule.exponential("100 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(5))))
)
