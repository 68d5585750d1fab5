import { assert, describe, it } from "@effect/vitest"
import { Hex } from "effect/encoding"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { checkRow, genesis, labels, seal } from "../../src/schema/Chain.ts"
import { exitCodeOf, verdictOf, worst } from "../../src/schema/ChainReport.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId, ChainId, EventId, KeyId, SessionId } from "../../src/schema/Ids.ts"
import { isoOf } from "../../src/schema/Instant.ts"
import { random, Seed } from "../schema/JsonArbitrary.ts"
import { anyChain, anyDraft, bitFlips, chainOf, check, keys, keysOf, verifier, withoutSecret } from "./Chains.ts"

describe("sealing", () => {
  it.prop(
    "gives the RFC 8785 text of the envelope, byte for byte (DEC-04, A-10)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      const draft = anyDraft(next)
      const [before] = anyChain(next, 1)
      const head =
        next() < 0.5 ? genesis : { seq: 41, hash: before!.hash, atMs: draft.atMs + Math.floor(next() * 20) - 10 }
      const row = seal(draft, head, keys)
      const { chain, id, agent, session, parent, kind, model, inputHash, outputHash } = draft
      const envelope = {
        v: 1,
        chain,
        seq: head.seq + 1,
        prev: head.hash === null ? null : Hex.encode(head.hash),
        id,
        at: isoOf(Math.max(draft.atMs, head.atMs)),
        agent,
        session,
        parent,
        kind,
        model,
        inputHash,
        outputHash,
        metadata: JSON.parse(draft.metadataText),
        keyId: keys.keyId,
        signer: null
      }
      assert.strictEqual(row.canonical, canonicalize(envelope))
      assert.deepStrictEqual(row.hash, keys.hash(labels.hash + row.canonical))
      assert.deepStrictEqual(row.hmac, keys.mac(labels.mac + row.canonical))
      assert.deepStrictEqual(checkRow(row, head.hash === null ? null : head, verifier), [])
    },
    { arbitrary: { runs: 1000 } }
  )

  it("never lets time go back within a chain (A-28)", () => {
    const draft = anyDraft(random(1))
    const row = seal({ ...draft, atMs: 1000 }, { seq: 1, hash: new Uint8Array(32), atMs: 5000 }, keys)
    assert.strictEqual(row.atMs, 5000)
    assert.include(row.canonical, '"at":"1970-01-01T00:00:05.000Z"')
  })

  it("keeps events with shifted field boundaries apart (A-10)", () => {
    const draft = anyDraft(random(2))
    const texts = [
      { ...draft, agent: AgentId.make("ab"), kind: "c" },
      { ...draft, agent: AgentId.make("a"), kind: "bc" },
      { ...draft, agent: AgentId.make('a","kind":"bc'), kind: "c" }
    ].map((one) => seal(one, genesis, keys).canonical)
    assert.strictEqual(new Set(texts).size, 3)
  })
})

describe("checking a row", () => {
  it("finds no fault with an honest chain, with the secret and without (A-24)", () => {
    const rows = anyChain(random(3), 200)
    assert.deepStrictEqual(check(rows), [])
    assert.deepStrictEqual(check(rows, withoutSecret), [])
  })

  it("notices every flipped bit without any secret too, but for those of the HMAC itself (DEC-04, BEY-04)", () => {
    const rows = anyChain(random(5), 3)
    const survivors = bitFlips(rows[1]!).filter((row) => checkRow(row, rows[0], withoutSecret).length === 0)
    assert.strictEqual(survivors.length, 256)
    assert.isTrue(survivors.every((row) => row.hmac !== rows[1]!.hmac))
  })

  it("names the column that contradicts the text (A-02)", () => {
    const [row] = anyChain(random(6), 1)
    const changed: ReadonlyArray<readonly [string, Partial<ChainRow>]> = [
      ["agent", { agent: AgentId.make("someone else") }],
      ["at", { atMs: row!.atMs + 1 }],
      ["at", { atMs: Number.NaN }],
      ["chain", { chain: ChainId.make("operator") }],
      ["id", { id: EventId.make("00000000-0000-4000-8000-000000000000") }],
      ["keyId", { keyId: KeyId.make("f".repeat(32)) }],
      ["kind", { kind: "another" }],
      ["parent", { parent: EventId.make("00000000-0000-4000-8000-000000000001") }],
      ["session", { session: SessionId.make("another session") }],
      ["signer", { signer: "someone" }]
    ]
    for (const [column, change] of changed) {
      const found = checkRow({ ...row!, ...change }, null, verifier)
      assert.deepInclude(found, { chain: change.chain ?? row!.chain, seq: 1, problem: "column", column })
    }
    assert.deepInclude(checkRow({ ...row!, canonical: "{}" }, null, verifier), {
      chain: row!.chain,
      seq: 1,
      problem: "text"
    })
  })

  it("does not mistake a lone surrogate for the replacement character that UTF-8 makes of it (A-12)", () => {
    const [row] = chainOf([{ ...anyDraft(random(7)), metadataText: '{"a":"\ufffd"}' }])
    const changed = { ...row!, canonical: row!.canonical.replace("\ufffd", "\udffd") }
    assert.deepStrictEqual(Buffer.from(changed.canonical), Buffer.from(row!.canonical))
    assert.deepStrictEqual(
      checkRow(changed, null, verifier).map((found) => found.problem),
      ["hash"]
    )
  })

  it("says unverifiable, not tampered, when the key is unknown (K-06, ROT-05)", () => {
    const rows = chainOf([anyDraft(random(8))], keysOf(9))
    assert.deepStrictEqual(
      check(rows).map((found) => found.problem),
      ["unknownKey"]
    )
  })

  it("finds a row that was written with another secret under our key's name (A-21, AUD-22)", () => {
    const rows = chainOf([anyDraft(random(9))], { ...keysOf(9), keyId: keys.keyId })
    assert.deepStrictEqual(
      check(rows).map((found) => found.problem),
      ["hmac"]
    )
  })

  it("accepts none of the three proofs in place of another (A-11)", () => {
    const [row] = anyChain(random(10), 1)
    const signed = seal(anyDraft(random(10)), genesis, { ...keys, signer: { fingerprint: "f", sign: keys.mac } })
    const asMac = keys.mac(labels.signature + signed.canonical)
    assert.deepStrictEqual(signed.signature, asMac)
    for (const wrong of [
      keys.mac(labels.hash + row!.canonical),
      keys.mac(labels.signature + row!.canonical),
      keys.mac(row!.canonical)
    ]) {
      assert.deepStrictEqual(
        checkRow({ ...row!, hmac: wrong }, null, verifier).map((_) => _.problem),
        ["hmac"]
      )
    }
    for (const wrong of [keys.hash(labels.mac + row!.canonical), keys.hash(row!.canonical), row!.hmac]) {
      assert.deepStrictEqual(
        checkRow({ ...row!, hash: wrong }, null, verifier).map((_) => _.problem),
        ["hash"]
      )
    }
  })

  it("takes a missing, foreign or wrong signature for a break, so signatures cannot be stripped (design 4)", () => {
    const signer = { fingerprint: "ed25519:1", sign: (text: string) => keys.mac(`signing ${text}`) }
    const row = seal(anyDraft(random(11)), genesis, { ...keys, signer })
    const judge = {
      ...verifier,
      signature: (fingerprint: string, text: string, signature: Uint8Array) =>
        fingerprint !== signer.fingerprint
          ? ("unknown" as const)
          : Buffer.compare(signature, signer.sign(text)) === 0
            ? ("valid" as const)
            : ("invalid" as const)
    }
    const problems = (changed: Partial<ChainRow>) => checkRow({ ...row, ...changed }, null, judge).map((_) => _.problem)
    assert.deepStrictEqual(problems({}), [])
    assert.deepStrictEqual(problems({ signature: null }), ["signature"])
    assert.deepStrictEqual(problems({ signature: new Uint8Array(32) }), ["signature"])
    assert.includeMembers(problems({ signer: null }), ["column", "signature"])
    const stranger = seal(anyDraft(random(11)), genesis, { ...keys, signer: { ...signer, fingerprint: "other" } })
    assert.deepStrictEqual(
      checkRow(stranger, null, judge).map((_) => _.problem),
      ["unknownSigner"]
    )
  })
})

describe("a chain that was rearranged", () => {
  it.prop(
    "shows every deletion but that of its last rows, which the head shows (A-03, A-04)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      const rows = anyChain(next, 12)
      const kept = rows.filter(() => next() < 0.7)
      const isPrefix = kept.every((row, i) => row === rows[i])
      assert.strictEqual(check(kept).length === 0, isPrefix)
      assert.strictEqual(check(kept, withoutSecret).length === 0, isPrefix)
    },
    { arbitrary: { runs: 1000 } }
  )

  it.prop(
    "shows every other order of its rows, and every swap of their texts (A-08)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      const rows = anyChain(next, 6)
      const [i, j] = [Math.floor(next() * 6), Math.floor(next() * 6)]
      if (i === j) return
      const swapped = rows.with(i, rows[j]!).with(j, rows[i]!)
      assert.isNotEmpty(check(swapped, withoutSecret))
      const payloads = rows
        .with(i, { ...rows[i]!, canonical: rows[j]!.canonical })
        .with(j, { ...rows[j]!, canonical: rows[i]!.canonical })
      assert.sameMembers([...new Set(check(payloads, withoutSecret).map((found) => found.seq))], [i + 1, j + 1])
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "shows a row that was copied from another chain under the same key (A-09)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      const [mine, theirs] = [anyChain(next, 5, "mine"), anyChain(next, 5, "theirs")]
      const i = Math.floor(next() * 5)
      assert.isNotEmpty(check(mine.with(i, theirs[i]!), withoutSecret))
      assert.isNotEmpty(check(mine.with(i, { ...theirs[i]!, chain: mine[i]!.chain }), withoutSecret))
      assert.isNotEmpty(
        check(mine.with(i, { ...theirs[i]!, chain: mine[i]!.chain, prev: mine[i]!.prev }), withoutSecret)
      )
    },
    { arbitrary: { runs: 500 } }
  )

  it("shows a fork: two rows that follow the same one (AUD-13)", () => {
    const next = random(12)
    const rows = anyChain(next, 3)
    const fork = seal(anyDraft(next), { seq: 2, hash: rows[1]!.hash, atMs: 0 }, keys)
    assert.includeMembers(
      check([...rows, fork]).map((_) => _.problem),
      ["gap", "link"]
    )
    const renumbered = seal(anyDraft(next), { seq: 3, hash: rows[1]!.hash, atMs: 0 }, keys)
    assert.deepStrictEqual(
      check([...rows, renumbered]).map((_) => [_.seq, _.problem]),
      [[4, "link"]]
    )
  })
})

describe("the verdict", () => {
  it("is tampered before unverifiable before ok, each with its exit code (DEC-20, K-06)", () => {
    assert.deepStrictEqual([verdictOf(0, 0), verdictOf(0, 1), verdictOf(1, 1)], ["ok", "unverifiable", "tampered"])
    assert.strictEqual(worst(["ok", "unverifiable", "tampered", "ok"]), "tampered")
    assert.strictEqual(worst(["ok", "unverifiable"]), "unverifiable")
    assert.strictEqual(worst([]), "ok")
    assert.deepStrictEqual((["ok", "tampered", "unverifiable"] as const).map(exitCodeOf), [0, 1, 4])
  })
})
