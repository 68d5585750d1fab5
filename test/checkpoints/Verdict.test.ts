import { assert, describe, it } from "@effect/vitest"
import {
  type CheckpointFacts,
  type Disagreement,
  type LogFacts,
  verdictOf
} from "../../src/schema/CheckpointVerdict.ts"

const origin = "effect-governance/a"
const log = (changes: Partial<LogFacts> = {}): LogFacts => ({
  where: "database",
  present: true,
  size: 10,
  signedSize: 10,
  origin,
  otherKey: false,
  problem: null,
  agrees: null,
  ...changes
})
const sink = (changes: Partial<LogFacts> = {}) => log({ where: "file", agrees: true, ...changes })
const remembered = (changes: Partial<LogFacts> = {}) => log({ where: "remembered", agrees: true, ...changes })
const lost = (kind: Disagreement["kind"]): Disagreement => ({
  chain: "session:s",
  seq: 7,
  checkpoint: 9,
  kind,
  lastSeq: 4
})
const facts = (changes: Partial<CheckpointFacts> = {}): CheckpointFacts => ({
  origin,
  keyKnown: true,
  database: log(),
  others: [sink(), remembered()],
  disagreements: [],
  adoptions: [],
  coveredChains: 3,
  coveredRows: 30,
  ...changes
})
const empty = log({ size: 0, signedSize: 0, origin: null })

describe("The verdict over checkpoints (A-04 to A-06, A-31)", () => {
  const table: ReadonlyArray<readonly [what: string, facts: CheckpointFacts, verdict: string, anchoredTo: number]> = [
    ["everything agrees", facts(), "ok", 10],
    ["the sink is behind", facts({ others: [sink({ size: 8, signedSize: 8 })] }), "ok", 10],
    ["there is no sink and nothing is remembered", facts({ others: [] }), "ok", 10],
    ["there are no checkpoints at all", facts({ database: empty, others: [] }), "noCheckpoints", 0],
    ["the latest is committed and not signed yet", facts({ database: log({ signedSize: 9 }), others: [] }), "ok", 9],
    ["every signature was taken away", facts({ database: log({ signedSize: 0 }), others: [] }), "noCheckpoints", 0],
    [
      "every signature was taken away, and only the memory knows that there were some",
      facts({ database: log({ signedSize: 0 }), others: [remembered()] }),
      "noCheckpoints",
      0
    ],
    [
      "every signature was taken away, and the sink that the memory knows with them",
      facts({
        database: log({ signedSize: 0 }),
        others: [sink({ present: false, size: 0, signedSize: 0, origin: null }), remembered()]
      }),
      "unverifiable",
      0
    ],
    ["a sink is ahead", facts({ others: [sink({ size: 12, signedSize: 12 })] }), "rollback", 12],
    ["the memory is ahead", facts({ others: [remembered({ size: 12, agrees: null })] }), "rollback", 10],
    [
      "the checkpoints were wiped and a sink knows some",
      facts({ database: empty, others: [sink({ agrees: null })] }),
      "rollback",
      10
    ],
    ["sink and database part ways", facts({ others: [sink({ agrees: false })] }), "forked", 10],
    ["the memory holds another root", facts({ others: [remembered({ agrees: false })] }), "forked", 10],
    ["a chain is shorter", facts({ disagreements: [lost("shorter")] }), "shorter", 10],
    ["a chain is gone", facts({ disagreements: [lost("shorter"), lost("missing")] }), "missing", 10],
    ["a row was rewritten", facts({ disagreements: [lost("rewritten")] }), "rewritten", 10],
    [
      "a sink is of another deployment",
      facts({ others: [sink({ origin: "effect-governance/b" })] }),
      "otherIdentity",
      10
    ],
    [
      "another deployment was here",
      facts({ others: [remembered({ origin: "effect-governance/b" })] }),
      "otherIdentity",
      10
    ],
    ["a sink was signed with another key", facts({ others: [sink({ otherKey: true })] }), "otherIdentity", 10],
    [
      "the database was signed with another key",
      facts({ database: log({ otherKey: true }), others: [] }),
      "otherIdentity",
      0
    ],
    ["a sink was edited", facts({ others: [sink({ problem: { kind: "root", size: 4 } })] }), "sinkBroken", 10],
    [
      "a sink was cut in the middle",
      facts({ others: [sink({ problem: { kind: "gap", size: 4 } })] }),
      "sinkBroken",
      10
    ],
    [
      "a signature in a sink is wrong",
      facts({ others: [sink({ problem: { kind: "badSignature", size: 4 } })] }),
      "badSignature",
      10
    ],
    [
      "the leaves in the database were edited",
      facts({ database: log({ problem: { kind: "root", size: 4 }, size: 3, signedSize: 3 }) }),
      "rewritten",
      10
    ],
    [
      "a sink is gone",
      facts({ others: [sink({ present: false, size: 0, signedSize: 0, origin: null })] }),
      "unverifiable",
      10
    ],
    ["nobody knows the public key", facts({ keyKnown: false }), "unverifiable", 0],
    [
      "it is another database and shorter as well: the gravest counts",
      facts({ others: [sink({ origin: "x" })], disagreements: [lost("shorter")] }),
      "otherIdentity",
      10
    ],
    [
      "it is rolled back and chains are missing: the cause counts",
      facts({ others: [sink({ size: 12, signedSize: 12 })], disagreements: [lost("missing")] }),
      "rollback",
      12
    ]
  ]
  it.each(table)("where %s", (_, given, verdict, anchoredTo) => {
    const report = verdictOf(given)
    assert.strictEqual(report.verdict, verdict, JSON.stringify(report.findings))
    assert.strictEqual(report.anchoredTo, anchoredTo)
    assert.strictEqual(report.findings.length > 0, verdict !== "ok")
  })

  it("names chain, row and checkpoint in words", () => {
    const said = (kind: Disagreement["kind"]) => verdictOf(facts({ disagreements: [lost(kind)] })).findings[0]?.message
    assert.strictEqual(said("missing"), "session:s was deleted: checkpoint 9 saw 7 rows of it")
    assert.strictEqual(
      said("shorter"),
      "session:s is shorter than checkpoint 9: that saw row 7, the chain ends at row 4"
    )
    assert.strictEqual(said("rewritten"), "session:s, row 7: not the row that checkpoint 9 saw, it was rewritten since")
  })
})
