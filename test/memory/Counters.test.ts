import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { amountOf, BudgetCap, type CapState, firstShort, remainingOf } from "../../src/schema/Cost.ts"
import {
  capStates,
  chargeOf,
  emptyCounter,
  hold,
  holding,
  limitsOf,
  release,
  spend
} from "../../src/schema/Counters.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { NanoUsd } from "../../src/schema/Money.ts"

const policyOf = AgentId.make("a")
const cap = (name: BudgetCap, used: bigint, limit: bigint): CapState => ({ cap: name, policyOf, used, limit })
const exact = (usd: bigint, tokens: bigint) => ({ _tag: "Exact", usd: NanoUsd.make(usd), tokens }) as const
const amount = Arbitrary.map(
  Arbitrary.schema(
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThanOrEqualTo(Number.MAX_SAFE_INTEGER))
  ),
  BigInt
)

describe("firstShort", () => {
  it("asks each cap in its own unit and names the first that is short (CST-01)", () => {
    const caps = [cap("perSessionUsd", 0n, 10n), cap("perSessionTokens", 5n, 10n), cap("perAgentUsdDaily", 9n, 10n)]
    assert.isUndefined(firstShort(caps, { usd: 1n, tokens: 5n }))
    assert.strictEqual(firstShort(caps, { usd: 2n, tokens: 6n })?.cap, "perSessionTokens")
    assert.strictEqual(firstShort(caps, { usd: 2n, tokens: 5n })?.cap, "perAgentUsdDaily")
  })

  for (const name of BudgetCap.literals) {
    it(`refuses everything once ${name} is reached, and a cap of 0 is reached at once (CST-03)`, () => {
      const free = { usd: 0n, tokens: 0n }
      assert.isUndefined(firstShort([cap(name, 9n, 10n)], free))
      assert.isDefined(firstShort([cap(name, 10n, 10n)], free))
      assert.isDefined(firstShort([cap(name, 11n, 10n)], free))
      assert.isDefined(firstShort([cap(name, 0n, 0n)], free))
    })
  }

  it.prop(
    "lets through exactly what fits into the remainder (BEY-01, U-05)",
    { used: amount, limit: amount, usd: amount },
    ({ limit, usd, used }) => {
      const state = cap("perAgentUsdDaily", used, limit)
      const fits = remainingOf(state) > 0n && usd <= remainingOf(state)
      assert.strictEqual(firstShort([state], { usd, tokens: 0n }) === undefined, fits)
    }
  )
})

describe("holding", () => {
  it("takes the smallest remainder of dollars and of tokens when the worst case is unknown (DEC-21)", () => {
    const caps = [
      cap("perSessionUsd", 1n, 10n),
      cap("perAgentUsdDaily", 0n, 7n),
      cap("perSessionTokens", 3n, 8n),
      cap("perSessionSeconds", 1n, 2n)
    ]
    assert.deepStrictEqual(holding(caps, { _tag: "Remaining" }), { _tag: "Held", amount: { usd: 7n, tokens: 5n } })
    assert.deepStrictEqual(holding([], { _tag: "Remaining" }), { _tag: "Held", amount: { usd: 0n, tokens: 0n } })
  })

  it("says what was requested in the unit of the cap that is short", () => {
    const tokens = cap("perSessionTokens", 0n, 5n)
    assert.deepStrictEqual(holding([tokens], exact(9n, 6n)), { _tag: "Short", short: tokens, requested: 6n })
    assert.strictEqual(amountOf("perSessionSeconds", { usd: 9n, tokens: 6n }), 0n)
  })
})

describe("counters", () => {
  it.prop(
    "are back where they were after a hold is released, and hold what was spent after a charge (DEC-07)",
    { usd: amount, tokens: amount },
    ({ tokens, usd }) => {
      const counter = emptyCounter()
      hold(counter, { usd, tokens })
      release(counter, { usd, tokens })
      assert.deepStrictEqual(counter, emptyCounter())
      spend(counter, { usd, tokens })
      assert.deepStrictEqual(counter, { spentUsd: usd, spentTokens: tokens, heldUsd: 0n, heldTokens: 0n })
    }
  )

  it("fill every cap of a policy with its own counter, holds included, in a fixed order (CST-01, CST-04)", () => {
    const limits = limitsOf({
      ...{ perSessionSeconds: 60, perAgentTokensDaily: 4, perAgentUsdDaily: NanoUsd.make(3n), perSessionTokens: 2 },
      perSessionUsd: NanoUsd.make(1n)
    })
    const states = capStates(policyOf, limits, {
      session: { spentUsd: 1n, heldUsd: 10n, spentTokens: 2n, heldTokens: 20n },
      day: { spentUsd: 3n, heldUsd: 30n, spentTokens: 4n, heldTokens: 40n },
      sessionSeconds: 5n
    })
    assert.deepStrictEqual(states, [
      cap("perSessionUsd", 11n, 1n),
      cap("perSessionTokens", 22n, 2n),
      cap("perAgentUsdDaily", 33n, 3n),
      cap("perAgentTokensDaily", 44n, 4n),
      cap("perSessionSeconds", 5n, 60n)
    ])
  })

  it("charge what was spent, else the hold, and nothing only for a call that never started (DEC-07)", () => {
    const held = { usd: 8n, tokens: 9n }
    const spent = { _tag: "Spent", usd: NanoUsd.make(1n), tokens: 2n, model: null, resultHash: null } as const
    assert.deepStrictEqual(chargeOf(spent, held), { usd: 1n, tokens: 2n })
    assert.deepStrictEqual(chargeOf({ _tag: "Held", resultHash: null }, held), held)
    assert.deepStrictEqual(chargeOf({ _tag: "Orphaned" }, held), held)
    assert.deepStrictEqual(chargeOf({ _tag: "Refused" }, held), { usd: 0n, tokens: 0n })
  })
})
