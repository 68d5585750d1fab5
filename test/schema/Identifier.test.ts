import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { Identifier, linearNfc, normaliseIdentifier } from "../../src/schema/Identifier.ts"
import {
  AgentId,
  agentChain,
  ChainId,
  EventId,
  eventOfTicket,
  KeyId,
  OperatorId,
  operatorChain,
  SessionId,
  sessionChain,
  TicketId
} from "../../src/schema/Ids.ts"
import { random, Seed } from "./JsonArbitrary.ts"
import { naughtyStrings } from "./Vectors.ts"

describe("normaliseIdentifier", () => {
  it.each([
    ["plain", "billing-bot/v1.2", "billing-bot/v1.2"],
    ["NFD", "cafe\u0301", "café"],
    ["C0, DEL and C1", "a\u0000b\u0007c\td\r\ne\u007ff\u0085g", "abcdefg"],
    ["CSI", "\u001b[31mred\u001b[0m", "red"],
    ["CSI of one character", "\u009b2Jx", "x"],
    ["OSC 8 hyperlink", "\u001b]8;;http://localhost/\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["OSC 52 clipboard", "a\u001b]52;c;c2VjcmV0\u0007b", "ab"],
    ["OSC by C1", "a\u009d52;c;c2Vj\u009cb", "ab"],
    ["unterminated OSC", "a\u001b]0;title", "a"],
    ["DCS", "a\u001bPq#0\u001b\\b", "ab"],
    ["two-character escape", "a\u001bcb", "ab"],
    ["charset", "a\u001b(Bb", "ab"],
    ["escape inside an escape", "\u001b[\u001b[31mx", "x"],
    ["lone surrogate", "a\ud800b", "a\ufffdb"],
    ["pair", "\ud83d\ude00", "\ud83d\ude00"],
    ["only controls", "\u0000\u001b[0m", ""]
  ])("%s (AUD-07, DEC-17)", (_name, text, expected) => assert.strictEqual(normaliseIdentifier(text), expected))

  const isClean = (text: string) =>
    text.isWellFormed() &&
    text === text.normalize("NFC") &&
    ![...text].some((c) => c < " " || (c >= "\u007f" && c <= "\u009f"))

  it.prop(
    "gives clean text that normalising again does not change (AUD-07)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      const parts = [
        ...naughtyStrings(),
        "\u001b",
        "[",
        "]",
        "\u0301",
        "\u0344",
        "\u0316",
        "\u0f73",
        "\u0301".repeat(40),
        "\u0344".repeat(31),
        "e",
        "\u1100",
        "\u1161",
        "\u11a8",
        "\ud83d",
        "\ude00"
      ]
      let text = ""
      for (let i = 0; i < 8; i++) text += parts[Math.floor(next() * parts.length)]
      const once = normaliseIdentifier(text)
      assert.isTrue(isClean(once))
      assert.strictEqual(normaliseIdentifier(once), once)
    },
    { arbitrary: { runs: 3000 } }
  )

  it("takes time linear in a megabyte of the worst text (R-07)", () => {
    const n = 250_000
    const texts = [
      `${"a".repeat(4 * n)}!`,
      "\u001b]".repeat(n),
      "\u001b[1;".repeat(n),
      `${"\u001b[".repeat(n)}${"0".repeat(n)}`,
      "\ud800".repeat(n),
      `a${"\u0301".repeat(n)}${"\u0316".repeat(n)}`,
      `a${"\u0301\u0316".repeat(n)}`,
      "\u001b ".repeat(n)
    ]
    for (const text of texts) {
      const started = performance.now()
      normaliseIdentifier(text)
      assert.isBelow(performance.now() - started, 500, JSON.stringify(text.slice(0, 4)))
    }
    assert.strictEqual(linearNfc("e\u0301"), "é")
  })
})

describe("Identifier", () => {
  it("normalises, then asks for 1 to max UTF-16 units", () => {
    const decode = Schema.decodeUnknownResult(Identifier(4))
    assert.strictEqual(Result.getOrThrow(decode("a\u0000bcd")), "abcd")
    for (const bad of ["", "\u0000", "\u001b[0m", "abcde", 1, null, undefined])
      assert.isTrue(Result.isFailure(decode(bad)))
  })
})

describe("ids", () => {
  const uuid = "0190163d-8694-739b-aea5-966c26f8ad91"

  it.each([
    ["AgentId", AgentId],
    ["SessionId", SessionId],
    ["OperatorId", OperatorId]
  ] as const)("%s has 1 to 256 characters after normalisation (AUD-06)", (_name, schema) => {
    const decode = Schema.decodeUnknownResult(schema)
    assert.isTrue(Result.isSuccess(decode("x".repeat(256))))
    assert.isTrue(Result.isSuccess(decode(`${"x".repeat(256)}\u0000`)))
    assert.isTrue(Result.isFailure(decode("x".repeat(257))))
    assert.isTrue(Result.isFailure(decode("\n")))
  })

  it("makes chains of sessions, agents and the operator (DEC-05)", () => {
    assert.strictEqual<string>(sessionChain(SessionId.make("s1")), "session:s1")
    assert.strictEqual<string>(agentChain(AgentId.make("a:b")), "agent:a:b")
    assert.strictEqual<string>(operatorChain, "operator")
    for (const id of ["\ud83d\ude00".repeat(128), "x".repeat(256)]) assert.isTrue(Schema.is(ChainId)(`agent:${id}`))
    for (const bad of [
      "",
      "session:",
      "operator2",
      "operator\n",
      "user:x",
      "agent:a\u0000",
      "agent:\ud800",
      "agent:\u009b",
      `agent:${"x".repeat(257)}`
    ]) {
      assert.isFalse(Schema.is(ChainId)(bad), bad)
    }
  })

  it("takes lower-case UUIDs and 128-bit key ids only", () => {
    for (const schema of [EventId, TicketId]) {
      assert.isTrue(Schema.is(schema)(uuid))
      for (const bad of [uuid.toUpperCase(), uuid.slice(1), `${uuid}\n`, `{${uuid}}`, ""])
        assert.isFalse(Schema.is(schema)(bad), bad)
    }
    assert.isTrue(Schema.is(KeyId)("0".repeat(32)))
    for (const bad of ["0".repeat(31), "A".repeat(32), "0".repeat(64)]) assert.isFalse(Schema.is(KeyId)(bad))
  })

  it("derives the ids of a call's events from its ticket: version 8, one per role, always the same (BEY-06)", () => {
    const ticket = TicketId.make("0f8fad5b-d9cb-469f-a165-70867728950e")
    const ids = (["attempt", "outcome", "orphaned"] as const).map((role) => eventOfTicket(ticket, role))
    assert.deepStrictEqual<ReadonlyArray<string>>(ids, [
      "0f8fad5b-d9cb-869f-a165-70867728950a",
      "0f8fad5b-d9cb-869f-a165-70867728950b",
      "0f8fad5b-d9cb-869f-a165-70867728950c"
    ])
    for (const id of ids) assert.isTrue(Schema.is(EventId)(id))
  })
})
