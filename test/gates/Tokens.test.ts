import { createHmac, hkdfSync } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted, Result, Schema } from "effect"
import { actionHash } from "../../src/schema/ActionHash.ts"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { escape } from "../../src/schema/Escape.ts"
import { ActionHash, GateRequestId } from "../../src/schema/GateRequest.ts"
import { macInput, parseToken, signedPart } from "../../src/schema/GateToken.ts"
import { normaliseIdentifier } from "../../src/schema/Identifier.ts"
import { AgentId, KeyId } from "../../src/schema/Ids.ts"
import { sealed } from "../../src/schema/Marked.ts"
import { isSamePerson } from "../../src/schema/SamePerson.ts"
import { Audit } from "../../src/services/Audit.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as GateKeys from "../../src/services/GateKeys.ts"
import { Gates } from "../../src/services/Gates.ts"
import { kinds } from "../services/World.ts"
import { agentId, clerk, world } from "./Gates.ts"

const secretOf = (seed: string) => Redacted.make(createHmac("sha256", "seed").update(seed).digest("hex"))
const keysOf = (secret: string, historic: ReadonlyArray<string> = []) =>
  GateKeys.make.pipe(
    Effect.provide(
      ChainKeys.layer({ secret: secretOf(secret), historic: historic.map(secretOf), ephemeralAllowed: false })
    )
  )
const facts = (keyId: string, n = 1) => ({
  keyId: KeyId.make(keyId),
  requestId: GateRequestId.make(`00000000-0000-4000-8000-${`${n}`.padStart(12, "0")}`),
  actionHash: ActionHash.make("ab".repeat(32)),
  expiresAtMs: 1_790_000_000_123
})
const mint = (keys: GateKeys.GateKeys, n = 1, deployment = "prod") => {
  // Only these facts of a request go into its token.
  const gate = facts(keys.currentKey(), n) as Parameters<typeof keys.tokenOf>[0]
  return keys.tokenOf(gate, deployment)!
}
const accepts = (keys: GateKeys.GateKeys, text: string, deployment = "prod") =>
  Result.match(parseToken(text), { onFailure: () => false, onSuccess: (token) => keys.isGenuine(token, deployment) })

describe("A token (OQ-04, GAT-05, GAT-06, DEC-09)", () => {
  it.effect("has the documented layout, and its MAC covers label, deployment and all before it", () =>
    Effect.gen(function* () {
      const keys = yield* keysOf("a")
      const token = mint(keys)
      const prefix = keys.currentKey().slice(0, 16)
      const start = `v2:${prefix}:00000000-0000-4000-8000-000000000001:${"ab".repeat(32)}:${new Date(1_790_000_000_123).toISOString()}`
      assert.strictEqual(token.slice(0, -65), start)
      assert.strictEqual(signedPart(facts(keys.currentKey())), start)
      const key = hkdfSync("sha256", secretBytes("a"), "", "effect-governance/v1/gate-token", 32)
      const mac = createHmac("sha256", Buffer.from(key)).update(`effect-governance/gate-token/v2/mac\nprod\n${start}`)
      assert.strictEqual(token.slice(-64), mac.digest("hex"))
      assert.strictEqual(macInput("prod", start), `effect-governance/gate-token/v2/mac\nprod\n${start}`)
    })
  )

  it.effect("is refused with any bit changed, cut anywhere, or longer: none of 40 tokens gets through (T-01, G7)", () =>
    Effect.gen(function* () {
      const keys = yield* keysOf("a")
      let tried = 0
      for (let n = 1; n <= 40; n++) {
        const token = mint(keys, n)
        assert.isTrue(accepts(keys, token))
        const bytes = Buffer.from(token, "latin1")
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          const changed = Buffer.from(bytes)
          changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7))
          tried += 1
          if (accepts(keys, changed.toString("latin1"))) assert.fail(`bit ${bit} of ${token}`)
        }
        for (let length = 0; length < token.length; length++) {
          if (accepts(keys, token.slice(0, length)) || accepts(keys, token.slice(token.length - length))) {
            assert.fail(`${length} of ${token}`)
          }
          tried += 2
        }
        for (const more of ["0", "=", "\n", " ", ":", "\0"]) {
          if (accepts(keys, token + more) || accepts(keys, more + token)) assert.fail(JSON.stringify(more))
        }
      }
      assert.isAbove(tried, 80_000)
    })
  )

  it.effect(
    "is refused in capitals, with another version, with a part missing, or with parts of two tokens (T-09, T-10)",
    () =>
      Effect.gen(function* () {
        const keys = yield* keysOf("a")
        const [one, two] = [mint(keys, 1), mint(keys, 2)]
        const parts = one.split(":")
        const must = [
          one.toUpperCase(),
          one.replace("v2:", ""),
          one.replace("v2:", "v1:"),
          one.replace("v2:", "v3:"),
          one.replace("v2:", "V2:"),
          one.replace("v2:", "none:"),
          one.slice(0, -64) + two.slice(-64),
          two.slice(0, -64) + one.slice(-64),
          one.replace("Z:", "+00:00:"),
          ...parts.map((_, i) => parts.toSpliced(i, 1).join(":")),
          ...parts.map((part, i) => parts.toSpliced(i, 0, part).join(":"))
        ]
        for (const text of must) assert.isFalse(accepts(keys, text), text)
      })
  )

  it.effect("is good for its deployment alone, and under a key that was rotated out (T-09, ROT-08)", () =>
    Effect.gen(function* () {
      const before = yield* keysOf("a")
      const after = yield* keysOf("b", ["a"])
      const stranger = yield* keysOf("c")
      const token = mint(before)
      assert.deepStrictEqual(
        [accepts(before, token), accepts(before, token, "staging"), accepts(after, token), accepts(stranger, token)],
        [true, false, true, false]
      )
    })
  )
})

const secretBytes = (seed: string) => Buffer.from(Redacted.value(secretOf(seed)), "hex")

describe("An action's hash (OQ-23, T-05)", () => {
  const hash = (text: string) => createHmac("sha256", "x").update(text).digest("hex")
  const agent = AgentId.make(agentId)

  it.prop(
    "changes with every single field",
    [Schema.String, Schema.String, Schema.String],
    ([first, second, payload]) => {
      const [kind, other] = [normaliseIdentifier(first), normaliseIdentifier(second)]
      const stored = (text: string) => canonicalize(escape(text))
      const base = actionHash(hash, kind, agent, stored(payload))
      if (kind !== other) assert.notStrictEqual(actionHash(hash, other, agent, stored(payload)), base)
      if (payload !== other) assert.notStrictEqual(actionHash(hash, kind, agent, stored(other)), base)
      assert.notStrictEqual(actionHash(hash, kind, AgentId.make("x"), stored(payload)), base)
      assert.notStrictEqual(actionHash(hash, kind, agent, null), base)
    }
  )

  it.effect("tells marked values apart, however they are sealed, and lets nobody edit around them (BEY-12, T-05)", () =>
    Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      const one = yield* gates.request("mail", agentId, { to: sealed("eva", "eva@x.org") })
      const two = yield* gates.request("mail", agentId, { to: sealed("eva", "mallory@x.org") })
      const same = yield* gates.request("mail", agentId, { to: sealed("eva", "eva@x.org") })
      assert.deepStrictEqual([one.requestId === two.requestId, one.requestId === same.requestId], [false, true])
      const rows = yield* gates.list()
      assert.strictEqual(rows.length, 2)
      for (const { gate } of rows) assert.match(gate.payload ?? "", /^\{"to":\{"\$sealed":\{[^{}]*\}\}\}$/)
      const edit = gates.grant(one.token, { by: "rita", arguments: { to: "x" } })
      assert.include(yield* Effect.flip(edit), { problem: "not_editable" })
      const bare = yield* gates.request("mail", agentId, { to: "eva" })
      const marked = gates.grant(bare.token, { by: "rita", arguments: { to: sealed("eva", "eva@x.org") } })
      assert.include(yield* Effect.flip(marked), { problem: "not_editable" })
    }).pipe(Effect.provide(world()))
  )
})

describe("A token of version 1 (GAT-05, GAT-07)", () => {
  const until = (date: string) =>
    Layer.provide(
      world({ auditSecret: secretOf("a") }),
      ConfigProvider.layer(ConfigProvider.fromUnknown({ GOVERNANCE_GATES_ACCEPT_V1_UNTIL: date }))
    )
  const legacyOf = (token: string) => {
    const [, , ...rest] = token.slice(0, -65).split(":")
    const signed = rest.join(":")
    const key = hkdfSync("sha256", secretBytes("a"), "", "effect-governance/v1/audit", 32)
    return `${signed}:${createHmac("sha256", Buffer.from(key)).update(signed).digest("hex")}`
  }
  const use = Effect.gen(function* () {
    yield* clerk()
    const gates = yield* Gates
    const { token } = yield* gates.request("pay", agentId, { usd: "5" }, { sessionId: "s1" })
    return yield* gates.grant(legacyOf(token), { by: "rita" })
  })

  it.effect("is accepted before the cutoff, with a row that says so", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* use).state, "granted")
      assert.include(yield* kinds("s1"), "gates.legacy_token_parsed")
    }).pipe(Effect.provide(until("1970-01-02T00:00:00.000Z")))
  )

  it.effect("is refused from the cutoff on, by the store's clock, with what to do, and recorded (ERR-11)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(use)
      assert.deepInclude(error, { _tag: "TokenVersionTooOldError", acceptedUntil: "1970-01-01T00:00:00.000Z" })
      for (const way of ["governance approvals", "GOVERNANCE_GATES_ACCEPT_V1_UNTIL"])
        assert.include(error.recoveryHint, way)
      const [row] = yield* (yield* Audit).getEvents({ kinds: ["approval.token_rejected"] })
      assert.deepInclude(Object(row?.metadata), { by: "rita", problem: "too_old" })
    }).pipe(Effect.provide(until("1970-01-01T00:00:00.000Z")))
  )
})

describe("One person (T-08)", () => {
  it("is one under 30 spellings of the same id, and two where names differ", () => {
    const id = "olga.petrova@example.org"
    const spellings = [
      ...["OLGA.PETROVA@EXAMPLE.ORG", "Olga.Petrova@example.org", " olga.petrova@example.org", `${id} `, `${id}\t`],
      ...["olga.petrova+pay@example.org", "olga.petrova+@example.org", "olga.petrova@example.org.", `${id}\u200b`],
      ...["\u043elga.petrova@example.org", "olga.p\u0435trova@example.org", "olg\u0430.petrov\u0430@example.org"],
      ...["olga.\u0440etrova@ex\u0430mple.org", "0lga.petrova@example.org", "o1ga.petrova@example.org"],
      ...["oIga.petrova@example.org", "\uff4flga.petrova@example.org", "olga.petrova\uff20example.org"],
      ...["\u202eolga.petrova@example.org", "olga.petrova@example.org\ufe0f", "ol\u00adga.petrova@example.org"],
      ...[
        "\u1d5flga.petrova@example.org".replace("\u1d5f", "\u1d52"),
        "\u00f3lga.petrova@example.org",
        "o\u0301lga.petrova@example.org"
      ],
      ...["olga.petr\u03bfva@example.org", "olga.petro\u03bda@example.org", "olga.\u03c1etrova@example.org"],
      ...["ol\u0261a.petrova@example.org", '"olga.petrova"@example.org', "olga.petrova@examp1e.org"]
    ]
    assert.isAtLeast(spellings.length, 30)
    for (const one of spellings) assert.isTrue(isSamePerson(id, one), JSON.stringify(one))
    for (const other of ["olga@example.org", "olga.petrova@example.com", "rita", "", "petrova.olga@example.org"]) {
      assert.isFalse(isSamePerson(id, other), other)
    }
  })
})
