import { assert, describe, it } from "@effect/vitest"
import { AuditRecord } from "../../src/schema/AuditRecord.ts"
import type { CallPlan } from "../../src/schema/CallPlan.ts"
import { CallRow } from "../../src/schema/CallRow.ts"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { isOutcome, rowSpan } from "../../src/schema/GenAiAttributes.ts"
import { providerOf } from "../../src/schema/GenAiProvider.ts"
import { AgentId, ChainId, EventId, KeyId, SessionId, ticketId } from "../../src/schema/Ids.ts"
import type { JsonObject } from "../../src/schema/Json.ts"
import { NanoUsd } from "../../src/schema/Money.ts"
import { standard } from "../../src/schema/Redaction.ts"

const id = "018f6a3e-0000-8000-8000-00000000000b"
const parent = "018f6a3e-0000-8000-8000-00000000000a"

const record = (kind: string, metadata: JsonObject, model: string | null = null) =>
  new AuditRecord({
    status: "stored",
    id: EventId.make(id),
    chain: ChainId.make("session:s"),
    seq: 2,
    at: "2027-01-15T08:00:00.001Z",
    delayedSince: null,
    kind,
    agentId: AgentId.make("clerk"),
    sessionId: SessionId.make("s"),
    parentEventId: EventId.make(parent),
    model,
    inputHash: "aa",
    outputHash: "bb",
    metadata,
    prevHash: null,
    hash: "",
    hmac: "",
    keyId: KeyId.make("0".repeat(32)),
    signer: null,
    signature: null
  })
const spanOf = (kind: string, metadata: JsonObject, model: string | null = null) =>
  rowSpan(record(kind, metadata, model), standard, false)

describe("a row as a span", () => {
  it("has no attribute for what a call was made with, returned, or who decided (OTL-02)", () => {
    const { attributes } = spanOf("approval.granted", {
      request: id,
      action: "refund",
      by: "rita",
      editedTo: "cc",
      x: "y"
    })
    assert.deepStrictEqual(attributes, {
      "gen_ai.agent.id": "clerk",
      "gen_ai.conversation.id": "s",
      "governance.event.id": id,
      "governance.event.kind": "approval.granted",
      "governance.event.seq": 2,
      "governance.event.parent": parent,
      "governance.decision": "granted",
      "governance.gate.id": id,
      "governance.gate.action": "refund"
    })
  })

  it("names the operation as the conventions do: chat, embeddings, execute_tool, and none for an API (OTL-01)", () => {
    const named = (kind: string, metadata: JsonObject, model: string | null = null) => {
      const { attributes, name } = spanOf(kind, metadata, model)
      return [name, attributes["gen_ai.operation.name"]]
    }
    assert.deepStrictEqual(
      [
        named("llm.result", { name: "llm.call" }, "gpt-4o"),
        named("llm.result", { name: "openai.embeddings.create" }, "text-embedding-3-small"),
        named("tool.result", { name: "embed" }),
        named("api.result", { name: "crm" }),
        named("budget.exceeded", { name: "llm.call", refused: "BudgetExceeded" }, "gpt-4o")
      ],
      [
        ["chat gpt-4o", "chat"],
        ["embeddings text-embedding-3-small", "embeddings"],
        ["execute_tool embed", "execute_tool"],
        ["api crm", undefined],
        ["chat gpt-4o", "chat"]
      ]
    )
  })

  it("tells refusals, violations and loops apart (OTL-01)", () => {
    const decided = (kind: string, metadata: JsonObject) => {
      const { attributes, error } = spanOf(kind, metadata)
      return [attributes["governance.decision"], error?.type]
    }
    assert.deepStrictEqual(
      [
        decided("budget.exceeded", { refused: "BudgetExceeded", reason: "too dear" }),
        decided("contract.post_violation", {}),
        decided("loop.detected", { refused: "LoopDetected" }),
        decided("loop.detected", { action: "log", count: 5 }),
        decided("tool.result", { result: "failed", error: "Timeout" }),
        decided("tool.result", { result: "completed" }),
        decided("agent.restored", {}),
        decided("shop.sold", {})
      ],
      [
        ["refused", "BudgetExceeded"],
        ["violated", "contract.post_violation"],
        ["refused", "LoopDetected"],
        ["logged", undefined],
        ["allowed", "Timeout"],
        ["allowed", undefined],
        ["restored", undefined],
        [undefined, undefined]
      ]
    )
  })

  it("ends its call's span only where it is the outcome (OTL-01)", () => {
    const ends = (kind: string, metadata: JsonObject = {}) => isOutcome(record(kind, metadata))
    assert.isTrue(ends("tool.result") && ends("scope.violation") && ends("loop.detected", { refused: "LoopDetected" }))
    assert.isFalse(ends("tool.call") || ends("loop.detected") || ends("contract.post_violation") || ends("shop.sold"))
  })

  it("takes numbers only for counts and money, and cuts long texts (R-07)", () => {
    const { attributes, name } = spanOf("tool.result", {
      name: "n".repeat(600),
      tokens: "many",
      usd: "1e9",
      count: -1,
      late: "yes",
      ticket: "none of ours",
      usage: { inputTokens: 1.5, outputTokens: "7" }
    })
    assert.strictEqual(name.length, "execute_tool ".length + 513)
    assert.deepStrictEqual(
      Object.keys(attributes).filter((key) => /tokens|usd|count|late/.test(key)),
      ["gen_ai.usage.output_tokens"]
    )
    assert.strictEqual(attributes["governance.call.id"], "[redacted]")
  })
})

describe("the provider of a model", () => {
  it("has its well-known name, by what was reported or by the model, and nothing that a caller made up", () => {
    assert.deepStrictEqual(
      [
        providerOf("bedrock", "claude-opus-4-8"),
        providerOf("vertex_ai", null),
        providerOf("xai.chat", null),
        providerOf(undefined, "gpt-5"),
        providerOf(undefined, "o4-mini"),
        providerOf("password=hunter2", "claude-opus-4-8"),
        providerOf("password=hunter2", "my-own-model")
      ],
      ["aws.bedrock", "gcp.gen_ai", "x_ai", "openai", "openai", "anthropic", undefined]
    )
  })
})

describe("the row of an outcome", () => {
  const plan = { target: { kind: "llm", name: "llm.call", model: "gpt-4o" } } as unknown as CallPlan
  const outcome = {
    result: "completed",
    error: null,
    usd: NanoUsd.make(60_000n),
    tokens: 15n,
    model: null,
    resultHash: null,
    late: false
  } as const
  const textOf = (usage: object | null, provider: string | null) =>
    new CallRow(plan, ticketId(id), { ...outcome, usage: usage as never, provider }, 0).metadataText

  it("says what the provider counted, by class, in canonical form (AUD-19)", () => {
    const text = textOf({ model: "gpt-4o-2024-08-06", inputTokens: 12, outputTokens: 3, reasoningTokens: 1 }, "openai")
    assert.strictEqual(text, canonicalize(JSON.parse(text)))
    assert.deepStrictEqual(JSON.parse(text), {
      model: "gpt-4o-2024-08-06",
      name: "llm.call",
      provider: "openai",
      result: "completed",
      ticket: id,
      tokens: "15",
      usage: { inputTokens: 12, outputTokens: 3, reasoningTokens: 1 },
      usd: "0.00006"
    })
  })

  it("keeps its form where nobody reported usage, and takes no word of a reply as it comes (A-12)", () => {
    assert.deepStrictEqual(Object.keys(JSON.parse(textOf(null, null))), ["name", "result", "ticket", "tokens", "usd"])
    const text = textOf(
      { model: "\u001b[31mred\u0000\ud800", inputTokens: Number.NaN, outputTokens: -1 },
      "p".repeat(500)
    )
    const { model, provider, usage } = JSON.parse(text)
    assert.deepStrictEqual([model, provider.length, usage], ["red\ufffd", 128, {}])
  })
})
