import { readdirSync } from "node:fs"
import { join } from "node:path"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { AgentKeyRefused, AgentKeyUnusable } from "../../src/schema/AgentKeyError.ts"
import { PolicyNotRegistered, ScopeViolation } from "../../src/schema/AgentScope.ts"
import { ChainIntegrityError, EventIdConflict, InvalidAuditEvent } from "../../src/schema/AuditError.ts"
import { BundleRefused } from "../../src/schema/BundleError.ts"
import { OtherChainKey, RotationRefused } from "../../src/schema/ChainKeyVersion.ts"
import { ChainProblem } from "../../src/schema/ChainReport.ts"
import {
  CheckpointContradicted,
  CheckpointSinkError,
  OtherIdentity,
  RolledBack
} from "../../src/schema/CheckpointError.ts"
import { ConfigurationError } from "../../src/schema/ConfigurationError.ts"
import { ContractViolation } from "../../src/schema/Contract.ts"
import { BudgetCap, BudgetExceeded } from "../../src/schema/Cost.ts"
import { EgressFailed, EgressRefused } from "../../src/schema/EgressError.ts"
import {
  ApprovalDenied,
  ApprovalPending,
  ApprovalTimeout,
  ApprovalTokenError,
  TokenVersionTooOldError
} from "../../src/schema/Gate.ts"
import { GovernanceClosed } from "../../src/schema/GovernanceClosed.ts"
import { isGovernanceError, isHaltError } from "../../src/schema/GovernanceError.ts"
import { AgentId, ChainId, EventId, KeyId, OperatorId, SessionId } from "../../src/schema/Ids.ts"
import { InvalidInput } from "../../src/schema/InvalidInput.ts"
import { InvalidJson } from "../../src/schema/Json.ts"
import { LoopDetected } from "../../src/schema/Loop.ts"
import { Module, ModuleDisabledError } from "../../src/schema/ModuleDisabled.ts"
import { InvalidMoney } from "../../src/schema/Money.ts"
import { NotRecorded } from "../../src/schema/NotRecorded.ts"
import { AgentHaltedError, DelegationError, HaltPersistenceError } from "../../src/schema/Presence.ts"
import { UnknownModelError } from "../../src/schema/Pricing.ts"
import { PromptName, PromptNotFound, PromptVersion } from "../../src/schema/Prompt.ts"
import { RetentionRefused } from "../../src/schema/RetentionError.ts"
import { WeakSecret } from "../../src/schema/Secret.ts"
import { InvalidNote } from "../../src/schema/SignedNote.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import { DeclaredMaximumExceeded, UngovernedCall } from "../../src/schema/WrappedCallError.ts"
import { governed } from "../../src/services/Governor.ts"
import { Presence } from "../../src/services/Presence.ts"
import { capture, lined, newLine } from "./World.ts"

const agentId = AgentId.make("clerk")
const sessionId = SessionId.make("s1")
const problems: ReadonlyArray<StoreError["problem"]> = [
  "unreachable",
  "deadline",
  "overload",
  "refused",
  "integrity",
  "closed"
]
const delegation: ReadonlyArray<DelegationError["problem"]> = ["agent_exists", "parent_unknown", "too_deep", "self"]

/** One of each error, or one of each kind of it. */
const governance: ReadonlyArray<Error> = [
  new UngovernedCall({ agentId, provider: "openai", method: "POST", path: "/v1/batches" }),
  new DeclaredMaximumExceeded({ agentId, model: "gpt-4o", maxTokens: 10 }),
  new ScopeViolation({ agentId, kind: "tool", target: "refund", allowed: ["read"], policyOf: agentId }),
  new ScopeViolation({ agentId, kind: "api", target: "GET x", allowed: [], policyOf: agentId }),
  new PolicyNotRegistered({ agentId }),
  ...(["pre", "post"] as const).flatMap((phase) =>
    (["false", "unknown", "threw", "late", "unanswered"] as const).map(
      (problem) =>
        new ContractViolation({
          ...{ agentId, tool: "refund", phase, check: "custom", custom: "small", says: "at most 5", problem },
          contractOf: agentId
        })
    )
  ),
  ...(["unknown", "not_active", "nothing_earlier"] as const).flatMap((problem) =>
    [null, PromptVersion.make("0".repeat(64))].map(
      (version) => new PromptNotFound({ prompt: PromptName.make("triage"), version, problem })
    )
  ),
  ...BudgetCap.literals.map(
    (cap) => new BudgetExceeded({ agentId, sessionId, cap, policyOf: agentId, limit: 5n, used: 4n, requested: 2n })
  ),
  new UnknownModelError({ model: "house-model", provider: null }),
  ...(["count", "repeat", "cycle"] as const).map(
    (pattern) => new LoopDetected({ agentId, sessionId, tool: "read", pattern, count: 4, limit: 3, windowSeconds: 60 })
  ),
  new ApprovalPending({ agentId, tool: "refund", requestId: null }),
  new ApprovalPending({ agentId, tool: "refund", requestId: "r1" }),
  new ApprovalTimeout({ agentId, tool: "refund", requestId: "r1" }),
  ...ApprovalDenied.fields.problem.literals.map(
    (problem) => new ApprovalDenied({ agentId, tool: "refund", requestId: null, problem })
  ),
  ...ApprovalTokenError.fields.problem.literals.map((problem) => new ApprovalTokenError({ problem, state: null })),
  new TokenVersionTooOldError({ acceptedUntil: "2026-07-17T00:00:00.000Z" }),
  new InvalidInput({ field: "usd", problem: "must be positive" }),
  new BundleRefused({ problem: "it is no ZIP archive, or was cut off" }),
  new InvalidAuditEvent({ field: "metadata", problem: "is too large" }),
  new EventIdConflict({
    eventId: EventId.make("00000000-0000-4000-8000-000000000000"),
    chain: ChainId.make("operator"),
    seq: 3
  }),
  ...ChainProblem.literals.map((problem) => new ChainIntegrityError({ chain: "operator", seq: 7, problem })),
  new HaltPersistenceError({ agentId, operation: "halt", problem: "no answer" }),
  ...delegation.map((problem) => new DelegationError({ agentId, parent: AgentId.make("boss"), problem })),
  ...Module.literals.map((module) => new ModuleDisabledError({ module })),
  new RolledBack({ finding: "it ends at checkpoint 3" }),
  new OtherIdentity({ finding: "another key" }),
  new CheckpointContradicted({ finding: "session:s was deleted", findings: 2 }),
  new CheckpointSinkError({ sink: "witness platform.example", problem: "refused", refusal: "forked" }),
  ...CheckpointSinkError.fields.problem.literals.map(
    (problem) => new CheckpointSinkError({ sink: "checkpoints.jsonl", problem })
  ),
  new ConfigurationError({ setting: "auditSecret", problem: "is too short" }),
  ...AgentKeyRefused.fields.problem.literals.map((problem) => new AgentKeyRefused({ problem })),
  ...AgentKeyUnusable.fields.problem.literals.map(
    (problem) => new AgentKeyUnusable({ agentId, source: "clerk.pem", problem })
  ),
  new EgressRefused({ host: "hooks.example", rule: "address", range: "loopback" }),
  new EgressRefused({ host: "", rule: "form", range: null }),
  new EgressFailed({ host: "hooks.example", problem: "connection", code: "ECONNREFUSED" }),
  new EgressFailed({ host: "hooks.example", problem: "timeout", code: null }),
  ...GovernanceClosed.fields.problem.literals.map((problem) => new GovernanceClosed({ problem })),
  new OtherChainKey({ keyId: KeyId.make("a".repeat(32)), version: 2, given: KeyId.make("b".repeat(32)) }),
  ...RotationRefused.fields.problem.literals.map(
    (problem) => new RotationRefused({ problem, keyId: KeyId.make("a".repeat(32)) })
  ),
  new NotRecorded({ what: "session", id: "s1" }),
  new NotRecorded({ what: "agent", id: "clerk" }),
  ...RetentionRefused.fields.problem.literals.map(
    (problem) => new RetentionRefused({ problem, chain: "session:s1", holds: [] })
  ),
  ...problems.map((problem) => new StoreError({ store: "CostStore", operation: "snapshot", problem }))
]
const halted = new AgentHaltedError({
  agentId,
  haltedAgent: agentId,
  haltedBy: OperatorId.make("ada"),
  haltedAt: DateTime.makeUnsafe(0),
  reason: "enough",
  path: "admission"
})
/** Parts of other errors: a caller sees them inside one of the above. */
const inner: ReadonlyArray<Error> = [
  new InvalidJson({ path: "/a", problem: "is no JSON" }),
  new InvalidMoney({ problem: "must be positive" }),
  new InvalidNote({ problem: "it has no signature" }),
  new WeakSecret({ problem: "is too short" })
]

const hintOf = (error: Error) => ("recoveryHint" in error ? error.recoveryHint : undefined)
const fieldsOf = (error: object) => new Set(Object.keys(error))

describe("Errors", () => {
  it("are all known here: a new error class in schema/ needs its sample (ERR-01)", async () => {
    const folder = join(import.meta.dirname, "../../src/schema")
    const files = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.endsWith(".generated.ts"))
    const modules: ReadonlyArray<Record<string, unknown>> = await Promise.all(
      files.map((name) => import(join(folder, name)))
    )
    const classes = modules.flatMap((module) =>
      Object.entries(module).flatMap(([name, value]) =>
        typeof value === "function" && value.prototype instanceof Error ? [name] : []
      )
    )
    const known = new Set([...governance, halted, ...inner].map((error) => error.constructor.name))
    // Read and shown by the CLI alone.
    known.add("PolicyFileInvalid")
    known.add("BundleRefused")
    assert.deepStrictEqual(
      classes.filter((name) => !known.has(name)),
      []
    )
  })

  it("each is printed under its own name, whatever its fields are called (ERR-01)", () => {
    for (const error of [...governance, halted]) assert.strictEqual(error.name, Reflect.get(error, "_tag"))
  })

  it("each has a message and a next step, without markup of values that are missing (ERR-01)", () => {
    for (const error of [...governance, halted, ...inner]) {
      const hint = hintOf(error)
      assert.isTrue(typeof hint === "string" && hint.length > 10, error.name)
      assert.isAbove(error.message.length, 5, error.name)
      for (const text of [error.message, String(hint)]) assert.notMatch(text, /undefined|NaN|\[object/, error.name)
    }
  })

  it("name what matters: the allowed tools, the cap, three fixes, agent and tool and count, the row (ERR-02, ERR-03, ERR-04, ERR-05, ERR-06, ERR-08)", () => {
    const text = (error: Error) => `${error.message} ${String(hintOf(error))}`
    const find = (tag: string) => governance.find((error) => error.name === tag || error.constructor.name === tag)!
    assert.include(text(find("ScopeViolation")), "read")
    assert.include(text(find("PolicyNotRegistered")), "Register")
    assert.include(text(find("BudgetExceeded")), "perSessionUsd")
    const unknown = text(find("UnknownModelError"))
    for (const fix of ["house-model", "price", "costStrictUnknownModels", "track"]) assert.include(unknown, fix)
    for (const fact of ["clerk", "read", "4", "60"]) assert.include(text(find("LoopDetected")), fact)
    assert.include(text(find("ChainIntegrityError")), "row 7")
    assert.deepStrictEqual(
      fieldsOf(halted).has("haltedBy") && fieldsOf(halted).has("haltedAt") && fieldsOf(halted).has("reason"),
      true
    )
  })

  it("isGovernanceError finds them along causes, and never takes a halt for one (ERR-01, ERR-13)", () => {
    for (const error of governance) {
      assert.isTrue(isGovernanceError(error), error.name)
      assert.isTrue(isGovernanceError(new Error("sdk", { cause: new Error("http", { cause: error }) })), error.name)
      assert.isTrue(isGovernanceError(Object.assign(new Error("tool"), { error })), error.name)
      assert.isFalse(isHaltError(error))
    }
    assert.isFalse(isGovernanceError(halted))
    assert.isFalse(isGovernanceError(new Error("sdk", { cause: halted })))
    assert.isTrue(isHaltError(new Error("sdk", { cause: halted })))
    const circle: { cause?: unknown } = {}
    circle.cause = circle
    for (const other of [new Error("x"), circle, null, undefined, "StoreError", 5])
      assert.isFalse(isGovernanceError(other))
  })

  it("a StoreError carries what the driver said nowhere that is printed or sent (ERR-12, ERR-16, K-12)", () => {
    const canary = "postgres://root:hunter2-canary@db.internal:5432/prod SELECT secret FROM x /srv/internal/path"
    for (const problem of problems) {
      const error = StoreError.because({ store: "CostStore", operation: "track", problem }, new Error(canary))
      assert.strictEqual(error.detail instanceof Error && error.detail.message, canary)
      const printed = `${error.message} ${error.recoveryHint} ${JSON.stringify(error)} ${inspect(error, { depth: 9, showHidden: true })} ${String(error)}`
      assert.notInclude(printed, "canary")
      assert.notInclude(printed, "SELECT")
    }
  })

  it.effect(
    "what a caller or the log gets when stores fail has no address, statement or path in it (ERR-16, SEC-06)",
    () => {
      const line = newLine()
      const log = capture()
      return Effect.gen(function* () {
        line.state = "down"
        const errors = [
          yield* Effect.flip(Effect.void.pipe(governed({ agentId, model: "gpt-4o", maxTokens: 1 }))),
          yield* Effect.flip((yield* Presence).halt(agentId, { by: "ada", reason: "stop" })),
          yield* Effect.flip((yield* Presence).delegate("boss", "intern"))
        ]
        for (const error of errors) {
          assert.notMatch(
            `${error.message} ${error.recoveryHint}`,
            /postgres(ql)?:\/\/|\b(SELECT|INSERT|UPDATE)\b|\/src\/|node_modules/
          )
        }
        for (const { message } of log.lines) assert.notMatch(message, /postgres(ql)?:\/\/|\bSELECT\b/)
      }).pipe(Effect.provide(lined(line)), Effect.provide(log.layer))
    }
  )
})
