import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Checkers from "../../src/testing/Checkers.ts"
import type { History, Operation, OperationOf } from "../../src/testing/History.ts"

const small = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThanOrEqualTo(60))
const many = Schema.Array(Schema.Tuple([small, small])).check(Schema.isMinLength(3), Schema.isMaxLength(60))
type Choices = ReadonlyArray<readonly [number, number]>

let ids = 0
const entry = <Op extends Operation["op"]>(
  op: Op,
  data: OperationOf<Op>["data"],
  [invokeNs, completeNs]: readonly [bigint, bigint | null] = [0n, 0n],
  outcome: Operation["outcome"] = "ok"
) => ({ op, id: `${++ids}`, process: "p", invokeNs, completeNs, outcome, data }) as unknown as OperationOf<Op>

const invariants = (found: ReadonlyArray<Checkers.Violation>) => [...new Set(found.map(({ invariant }) => invariant))]
const pick = <A>(all: ReadonlyArray<A>, n: number): A => all[n % all.length]!

/** Chains as a correct writer makes them, and what its callers saw: some answers were lost. */
const chains = (choices: Choices) => {
  const rows: Array<Checkers.StoredRow> = []
  const history: Array<Operation> = []
  const heads = new Map<string, Checkers.StoredRow>()
  for (const [i, [which, fate]] of choices.entries()) {
    const chain = `chain ${which % 3}`
    const event = `event ${i}`
    if (fate % 7 === 0) {
      history.push(entry("append", { chain, event, seq: null }, [0n, 1n], fate % 2 === 0 ? "fail" : "indeterminate"))
      continue
    }
    const head = heads.get(chain)
    const row = { chain, event, seq: (head?.seq ?? 0) + 1, hash: `hash ${i}`, prev: head?.hash ?? null }
    heads.set(chain, row)
    rows.push(row)
    const lost = fate % 5 === 0
    history.push(entry("append", { chain, event, seq: lost ? null : row.seq }, [0n, 1n], lost ? "indeterminate" : "ok"))
  }
  return { rows, history }
}

describe("forksAndGaps (I1, I2)", () => {
  it.prop(
    "passes every chain that a correct writer makes, in any order of reading (BEY-18)",
    { choices: many },
    ({ choices }) => {
      const { rows } = chains(choices)
      assert.deepStrictEqual(Checkers.forksAndGaps(rows.toReversed()), [])
    }
  )

  it.prop(
    "finds any row that is missing but the last of a chain (A-03)",
    { choices: many, n: small },
    ({ choices, n }) => {
      const { rows } = chains(choices)
      const inner = rows.filter((row) => rows.some(({ chain, seq }) => chain === row.chain && seq > row.seq))
      if (inner.length === 0) return
      const gone = pick(inner, n)
      assert.deepStrictEqual(invariants(Checkers.forksAndGaps(rows.filter((row) => row !== gone))), ["I2"])
    }
  )

  it.prop(
    "finds a second successor, a rehashed link and an event stored twice (A-07)",
    { choices: many, n: small },
    ({ choices, n }) => {
      const { rows } = chains(choices)
      if (rows.length === 0) return
      const row = pick(rows, n)
      const planted = (extra: Partial<Checkers.StoredRow>) =>
        invariants(Checkers.forksAndGaps([...rows, { ...row, event: "new", hash: "new", ...extra }]))
      assert.include(planted({}), "I1")
      assert.include(planted({ seq: row.seq + 1000 }), "I1")
      assert.include(planted({ seq: rows.length + 1, prev: "elsewhere", event: row.event }), "I1")
      const relinked = rows.map((each) => (each === row ? { ...each, hash: "rewritten" } : each))
      const hasNext = rows.some(({ prev }) => prev === row.hash)
      assert.deepStrictEqual(invariants(Checkers.forksAndGaps(relinked)), hasNext ? ["I1"] : [])
    }
  )
})

describe("acknowledgedIsStored (I3)", () => {
  it.prop(
    "passes when every acknowledged event is stored, lost answers either way (BEY-18)",
    { choices: many },
    ({ choices }) => {
      const { history, rows } = chains(choices)
      assert.deepStrictEqual(Checkers.acknowledgedIsStored(history, rows), [])
    }
  )

  it.prop(
    "finds any acknowledged event that is gone or elsewhere (F-01)",
    { choices: many, n: small },
    ({ choices, n }) => {
      const { history, rows } = chains(choices)
      const acked = rows.filter(({ event }) =>
        history.some((each) => each.op === "append" && each.data.event === event && each.outcome === "ok")
      )
      if (acked.length === 0) return
      const row = pick(acked, n)
      assert.strictEqual(
        Checkers.acknowledgedIsStored(
          history,
          rows.filter((each) => each !== row)
        ).length,
        1
      )
      assert.strictEqual(
        Checkers.acknowledgedIsStored(
          history,
          rows.map((each) => (each === row ? { ...each, seq: each.seq + 1 } : each))
        ).length,
        1
      )
    }
  )

  it("finds a stored event whose append failed, and one that nobody appended", () => {
    const row = { chain: "c", event: "e", seq: 1, hash: "h", prev: null }
    const failed = [entry("append", { chain: "c", event: "e", seq: null }, [0n, 1n], "fail")]
    assert.strictEqual(Checkers.acknowledgedIsStored(failed, [row]).length, 1)
    assert.strictEqual(Checkers.acknowledgedIsStored([], [row]).length, 1)
    assert.deepStrictEqual(Checkers.acknowledgedIsStored([], [row], { complete: false }), [])
    const retried = [...failed, entry("append", { chain: "c", event: "e", seq: 1 })]
    assert.deepStrictEqual(Checkers.acknowledgedIsStored(retried, [row]), [])
  })
})

/** What a correct store admits under a cap: holds that fit, settled below, as movements and as callers saw it. */
const spending = (choices: Choices, cap: bigint) => {
  const movements: Array<Checkers.Movement> = []
  const history: Array<Operation> = []
  let used = 0n
  for (const [i, [amount, fate]] of choices.entries()) {
    const held = BigInt(amount)
    if (used + held > cap) continue
    used += held
    movements.push({ counter: "a", act: "hold", delta: held })
    history.push(entry("admit", { ticket: `${i}`, agents: ["a"], verdict: "Admitted", held }))
    if (fate % 3 === 0) continue
    const charged = held / BigInt(1 + (fate % 4))
    used += charged - held
    movements.push({ counter: "a", act: "settle", delta: charged - held })
    history.push(entry("settle", { ticket: `${i}`, charged }, [0n, 1n], fate % 5 === 0 ? "indeterminate" : "ok"))
  }
  return { movements, history, used }
}

describe("overspend (I4)", () => {
  it.prop("passes what a correct store commits (BEY-01)", { choices: many, cap: small }, ({ cap, choices }) => {
    const { history, movements } = spending(choices, BigInt(cap))
    assert.deepStrictEqual(Checkers.overspend(movements, { a: BigInt(cap) }, { excess: "forbidden" }), [])
    assert.deepStrictEqual(Checkers.overspendAtEnd(history, { a: BigInt(cap) }), [])
  })

  it.prop(
    "finds one nano-dollar too much, at the moment it is held (BEY-01)",
    { choices: many, cap: small },
    ({ cap, choices }) => {
      const { history, movements, used } = spending(choices, BigInt(cap))
      const more = BigInt(cap) - used + 1n
      const found = Checkers.overspend([...movements, { counter: "a", act: "hold", delta: more }], { a: BigInt(cap) })
      assert.deepStrictEqual(invariants(found), ["I4"])
      const admitted = [
        ...history,
        entry("admit", { ticket: "last", agents: ["a"], verdict: "Admitted", held: 10_000n })
      ]
      assert.deepStrictEqual(invariants(Checkers.overspendAtEnd(admitted, { a: BigInt(cap) })), ["I4"])
    }
  )

  it("finds a cap that was passed for a moment only, in commit order", () => {
    const movements = [
      { counter: "a", act: "hold", delta: 6n },
      { counter: "a", act: "hold", delta: 6n },
      { counter: "a", act: "settle", delta: -6n }
    ] as const
    assert.strictEqual(Checkers.overspend(movements, { a: 10n }).length, 1)
    assert.deepStrictEqual(Checkers.overspend([movements[0], movements[2], movements[1]], { a: 10n }), [])
  })

  it("allows the excess of a provider but no hold after it, and no counter below zero (U-04, U-07)", () => {
    const excess = [
      { counter: "a", act: "hold", delta: 10n },
      { counter: "a", act: "settle", delta: 5n }
    ] as const
    assert.deepStrictEqual(Checkers.overspend(excess, { a: 10n }), [])
    assert.strictEqual(Checkers.overspend(excess, { a: 10n }, { excess: "forbidden" }).length, 1)
    assert.strictEqual(Checkers.overspend([...excess, { counter: "a", act: "hold", delta: 0n }], { a: 10n }).length, 1)
    assert.strictEqual(Checkers.overspend([{ counter: "a", act: "settle", delta: -1n }], {}).length, 1)
  })
})

describe("doubleGrants (I5)", () => {
  const use = (grant: string, outcome: Operation["outcome"]) => entry("consume", { grant }, [0n, 1n], outcome)

  it.prop(
    "passes one use a grant among failed and lost ones, and finds a second (BEY-02)",
    { choices: many, n: small },
    ({ choices, n }) => {
      const clean = choices.flatMap(([, fate], i) => [
        use(`${i}`, "ok"),
        use(`${i}`, fate % 2 === 0 ? "fail" : "indeterminate")
      ])
      assert.deepStrictEqual(Checkers.doubleGrants(clean), [])
      assert.strictEqual(Checkers.doubleGrants([...clean, use(`${n % choices.length}`, "ok")]).length, 1)
    }
  )
})

describe("allowedAfterHalt (I6)", () => {
  const admit = (
    at: bigint,
    agents: ReadonlyArray<string> = ["root", "a"],
    verdict: "Admitted" | "Halted" = "Admitted"
  ) => entry("admit", { ticket: `t${at}`, agents, verdict, held: 0n }, [at, at + 1n])
  const halt = (from: bigint, to: bigint | null, outcome: Operation["outcome"] = "ok") =>
    entry("halt", { agent: "a" }, [from, to], outcome)
  const resume = (from: bigint, to: bigint | null, outcome: Operation["outcome"] = "ok") =>
    entry("resume", { agent: "a" }, [from, to], outcome)
  const found = (history: History, ttl = 0n) => Checkers.allowedAfterHalt(history, ttl).length

  it.prop("passes a store that refuses from the halt on until the resume (H-01)", { choices: many }, ({ choices }) => {
    let halted = false
    const history = choices.flatMap(([what], i): ReadonlyArray<Operation> => {
      const at = BigInt(i) * 10n
      if (what % 6 === 0) {
        halted = !halted
        return [halted ? halt(at, at + 1n) : resume(at, at + 1n)]
      }
      return [admit(at, ["root", "a"], halted ? "Halted" : "Admitted")]
    })
    assert.strictEqual(found(history), 0)
    if (halted) assert.strictEqual(found([...history, admit(10_000n)]), 1)
  })

  it("finds an admission after the halt and its TTL, on the agent and on every delegate of it (BEY-09)", () => {
    assert.strictEqual(found([halt(0n, 5n), admit(6n)]), 1)
    assert.strictEqual(found([halt(0n, 5n), admit(6n, ["a", "child"])]), 1)
    assert.strictEqual(found([halt(0n, 5n), admit(15n)], 10n), 0)
    assert.strictEqual(found([halt(0n, 5n), admit(16n)], 10n), 1)
  })

  it("allows what overlaps the halt, other agents, a halt that failed or is unknown, and what a resume may have freed", () => {
    assert.strictEqual(found([halt(0n, 5n), admit(5n)]), 0)
    assert.strictEqual(found([halt(0n, 5n), admit(6n, ["root", "b"])]), 0)
    assert.strictEqual(found([halt(0n, 5n, "fail"), halt(0n, null, "indeterminate"), admit(6n)]), 0)
    assert.strictEqual(found([halt(0n, 5n), resume(6n, null, "indeterminate"), admit(100n)]), 0)
    assert.strictEqual(found([halt(0n, 5n), resume(6n, 7n, "fail"), admit(100n)]), 1)
    assert.strictEqual(found([resume(0n, 1n), halt(2n, 5n), admit(100n)]), 1)
    assert.strictEqual(found([halt(0n, 5n), admit(6n), resume(50n, 51n)]), 1)
  })
})

describe("wrongVerdicts (I8)", () => {
  const said = Schema.Record(Schema.String, Schema.Literals(["ok", "tampered", "rollback"]))

  it.prop(
    "passes equal verdicts and finds every other one, missing and invented ones too (A-01)",
    { said, chain: Schema.String },
    ({ chain, said }) => {
      assert.deepStrictEqual(Checkers.wrongVerdicts(said, { ...said }), [])
      const wrong = Checkers.wrongVerdicts({ ...said, [`${chain}!`]: "tampered" }, { ...said, [`${chain}!`]: "ok" })
      assert.deepStrictEqual(invariants(wrong), ["I8"])
      assert.strictEqual(Checkers.wrongVerdicts({ c: "ok" }, {}).length, 1)
      assert.strictEqual(Checkers.wrongVerdicts({}, { c: "ok" }).length, 1)
    }
  )
})

describe("wrongOutcomes (I9)", () => {
  const use = (
    kind: "enforcement" | "observation",
    fault: string | null,
    answer: OperationOf<"use">["data"]["answer"],
    took = 1n
  ) => entry("use", { kind, fault, answer }, [0n, took])

  it("passes enforcement that says no and observation that goes on, and allows where no fault is (U-12)", () => {
    const clean = [
      use("enforcement", null, "allowed"),
      use("enforcement", null, "refused"),
      use("enforcement", "black hole", "refused"),
      use("enforcement", "black hole", "storeError"),
      use("observation", "black hole", "returned"),
      use("observation", null, "returned")
    ]
    assert.deepStrictEqual(Checkers.wrongOutcomes(clean, 10n), [])
  })

  it("finds an allow under a fault, whatever was thrown, and an answer after the deadline (I9)", () => {
    for (const planted of [
      use("enforcement", "cut", "allowed"),
      use("enforcement", "cut", "returned"),
      use("enforcement", null, "threw"),
      use("observation", "cut", "threw"),
      use("observation", "cut", "storeError"),
      use("enforcement", "black hole", "storeError", 11n)
    ]) {
      assert.deepStrictEqual(invariants(Checkers.wrongOutcomes([planted], 10n)), ["I9"])
    }
  })
})
