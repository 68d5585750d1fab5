import { Context, Effect, Layer } from "effect"
import type { EventIdConflict, InvalidAuditEvent } from "../schema/AuditError.ts"
import { type AgentId, OperatorId } from "../schema/Ids.ts"
import type { InvalidInput } from "../schema/InvalidInput.ts"
import type { PolicyKind, StoredPolicy } from "../schema/Policy.ts"
import type { PolicyEntry } from "../schema/PolicyFileText.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { PolicyStore } from "./PolicyStore.ts"
import { Signal } from "./Signal.ts"
import { StoreTransaction } from "./StoreTransaction.ts"

/** What a person decides about policies: it wins over what programs register, until it is given back (DEC-21). */
export class OperatorPolicies extends Context.Service<
  OperatorPolicies,
  {
    /** All entries or none, each change with its `policy.changed` row in the agent's chain, in one transaction. */
    readonly apply: (
      entries: ReadonlyArray<PolicyEntry>,
      by: string
    ) => Effect.Effect<ReadonlyArray<PolicyChange>, OperatorPolicyError>
    /** Gives a policy back to the programs: the next registration replaces it. False when no operator's row was there. */
    readonly release: (agentId: AgentId, kind: PolicyKind, by: string) => Effect.Effect<boolean, OperatorPolicyError>
  }
>()("effect-governance/services/OperatorPolicies") {}

export type OperatorPolicyError = InvalidInput | InvalidAuditEvent | EventIdConflict | StoreError

/** A policy after `apply`. `changed` is false when the same operator's policy was there already. */
export interface PolicyChange {
  readonly policy: StoredPolicy
  readonly changed: boolean
}

export const make = Effect.gen(function* () {
  const store = yield* PolicyStore
  const audit = yield* Audit
  const transaction = yield* StoreTransaction
  const signal = yield* Signal

  const record = (agentId: AgentId, metadata: Readonly<Record<string, unknown>>) =>
    audit.requireInTransaction({ kind: "policy.changed", agentId, metadata })

  const tell = (agents: Iterable<AgentId>) =>
    Effect.forEach(new Set(agents), (agentId) => signal.publish("policies", agentId), { discard: true })

  return OperatorPolicies.of({
    apply: Effect.fn("OperatorPolicies.apply")(function* (entries, name) {
      const by = yield* decodeArgument(OperatorId, "by", name)
      // One order everywhere, rows before chain heads: two operators that apply at once cannot wait for each other.
      const ordered = [...entries].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
      const changes = yield* transaction.run(
        Effect.gen(function* () {
          const before = new Map((yield* store.all).map((row) => [keyOf(row), row]))
          const done: Array<PolicyChange> = []
          for (const entry of ordered) {
            const policy = yield* store.put({ ...entry, source: "operator" })
            const old = before.get(keyOf(entry))
            done.push({ policy, changed: old?.version !== policy.version || old.source !== policy.source })
          }
          for (const { changed, policy } of done) {
            if (!changed) continue
            const { agentId, body, kind, version } = policy
            yield* record(agentId, {
              by,
              change: "applied",
              policy: kind,
              version,
              body,
              before: before.get(keyOf(policy))?.body ?? null
            })
          }
          return done
        })
      )
      yield* tell(changes.filter(({ changed }) => changed).map(({ policy }) => policy.agentId))
      return changes
    }),
    release: Effect.fn("OperatorPolicies.release")(function* (agentId, kind, name) {
      const by = yield* decodeArgument(OperatorId, "by", name)
      const released = yield* transaction.run(
        Effect.tap(store.release(agentId, kind), (was) =>
          was ? record(agentId, { by, change: "released", policy: kind }) : Effect.void
        )
      )
      if (released) yield* tell([agentId])
      return released
    })
  })
})

export const layer = Layer.effect(OperatorPolicies, make)

const keyOf = ({ agentId, kind }: { readonly agentId: AgentId; readonly kind: PolicyKind }) => `${agentId}\n${kind}`
