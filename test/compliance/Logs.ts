import { Effect, Layer } from "effect"
import * as MemoryAuditStore from "../../src/layers/memory/AuditStore.ts"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import * as SubjectKeyStore from "../../src/layers/memory/SubjectKeyStore.ts"
import * as Audit from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import type { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as CheckpointProofs from "../../src/services/CheckpointProofs.ts"
import * as Compliance from "../../src/services/Compliance.ts"

/** The real services over the real memory stores, with a key that is always the same. */
export const log = Audit.layerWith().pipe(
  Layer.provideMerge(AuditFallback.layerMemory),
  Layer.provideMerge(Layer.mergeAll(MemoryAuditStore.layer, StoreTransaction.layer, SubjectKeyStore.layer)),
  Layer.provideMerge(ChainKeys.layerTest)
)

export const layer = Compliance.layer.pipe(Layer.provide(CheckpointProofs.layerNone), Layer.provideMerge(log))

const uuid = (n: number, role: string) => `00000000-0000-8000-8000-${n.toString(16).padStart(11, "0")}${role}`

export const attemptId = (n: number) => uuid(n, "a")

/** One governed call as its rows tell it. */
export const call = (
  n: number,
  options: {
    readonly agentId?: string
    readonly sessionId?: string | undefined
    readonly result?: string | null
    readonly kind?: "tool" | "llm" | "api"
  } = {}
) =>
  Effect.gen(function* () {
    const audit = yield* Audit.Audit
    const kind = options.kind ?? "tool"
    const common = {
      agentId: options.agentId ?? "billing-agent",
      sessionId: "sessionId" in options ? options.sessionId : "order-4711",
      model: kind === "llm" ? "gpt-4o" : undefined,
      inputHash: "ab".repeat(32)
    }
    const name = kind === "llm" ? "gpt-4o" : "refund"
    yield* audit.log({ ...common, kind: `${kind}.call`, id: attemptId(n), metadata: { name, ticket: uuid(n, "0") } })
    if (options.result === null) return
    yield* audit.log({
      ...common,
      kind: `${kind}.result`,
      id: uuid(n, "b"),
      parentEventId: attemptId(n),
      outputHash: "cd".repeat(32),
      metadata: { name, result: options.result ?? "completed", ticket: uuid(n, "0"), tokens: "120", usd: "0.02" }
    })
  })

/** A day of two agents: calls, a refusal, an approval, a halt, an orphan and one that was swept. */
export const day = Effect.gen(function* () {
  const audit = yield* Audit.Audit
  yield* call(1)
  yield* call(2, { kind: "llm" })
  yield* call(3, { agentId: "mail-agent", sessionId: "mail-1", kind: "llm" })
  yield* audit.log({
    kind: "scope.violation",
    id: uuid(101, "e"),
    agentId: "billing-agent",
    sessionId: "order-4711",
    metadata: {
      name: "delete_all",
      refused: "ScopeViolation",
      reason: "The tool delete_all is hidden from billing-agent"
    }
  })
  yield* audit.log({
    kind: "approval.granted",
    id: uuid(102, "e"),
    agentId: "billing-agent",
    sessionId: "order-4711",
    metadata: { request: uuid(9, "9"), action: "refund", by: "alice@example.com", reason: "Customer is right" }
  })
  yield* call(4, { result: null })
  yield* call(5, { result: null, sessionId: undefined })
  yield* audit.log({
    kind: "call.orphaned",
    id: uuid(103, "e"),
    agentId: "billing-agent",
    parentEventId: attemptId(5),
    metadata: { name: "refund", charged: "0.50" }
  })
  yield* audit.log({
    kind: "agent.halted",
    id: uuid(104, "e"),
    agentId: "billing-agent",
    metadata: { by: "bob@example.com", reason: "Refunds to the wrong accounts" }
  })
  yield* audit.log({
    kind: "policy.changed",
    id: uuid(105, "e"),
    agentId: "mail-agent",
    metadata: { by: "carol", policy: "scope" }
  })
})

/** Reports over this log with these keys. */
export const reading = (store: Layer.Layer<AuditStore>, keys: Layer.Layer<ChainKeys.ChainKeys>) =>
  Compliance.layer.pipe(
    Layer.provide(CheckpointProofs.layerNone),
    Layer.provide(Audit.layerWith()),
    Layer.provide(Layer.mergeAll(store, SubjectKeyStore.layer, StoreTransaction.layer, AuditFallback.layerMemory)),
    Layer.provide(keys)
  )
