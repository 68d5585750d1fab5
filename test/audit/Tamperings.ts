import { Effect, Layer } from "effect"
import { checkRow } from "../../src/schema/Chain.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { random } from "../schema/JsonArbitrary.ts"
import { bitFlips } from "./Chains.ts"
import { everyProof, filled, heldStore, reading, withoutKeys } from "./StoredChain.ts"

type Rows = ReadonlyArray<ChainRow>

/**
 * Flips every bit of every row, one by one, and checks the row, and the row after it where it is linked to what was flipped. A
 * survivor was not found, or only with a key although it is in no proof.
 */
export const flipEveryBit = Effect.fnUntraced(function* (rows: Rows) {
  const verifier = yield* everyProof
  const survivors: Array<string> = []
  let tried = 0
  for (const [at, row] of rows.entries()) {
    yield* Effect.yieldNow
    const before = at === 0 ? null : rows[at - 1]!
    const next = rows[at + 1]
    if (checkRow(row, before, verifier).length > 0) survivors.push(`row ${row.seq} as it is`)
    for (const flipped of bitFlips(row)) {
      tried++
      const found = checkRow(flipped, before, verifier)
      const inProof = flipped.hmac !== row.hmac || flipped.signature !== row.signature
      if ((inProof ? found : withoutKeys(found)).length === 0) survivors.push(changedIn(row, flipped))
      if (next === undefined || (flipped.hash === row.hash && flipped.seq === row.seq)) continue
      tried++
      if (withoutKeys(checkRow(next, flipped, verifier)).length === 0)
        survivors.push(`after ${changedIn(row, flipped)}`)
    }
  }
  return { tried, survivors }
})

/** Drawn bits of a chain of 50 rows that its report does not find, or not at the row they are in. */
export const drawnFlips = Effect.fnUntraced(function* (count: number, seed: number) {
  const rows = yield* filled("s", 50, seed)
  // A signature is judged by who knows the agent's key: `flipEveryBit` does.
  const judged = rows.map((row) =>
    bitFlips(row, 7).filter((one) => one.signature === row.signature || row.signer === null)
  )
  const held = { current: rows }
  const next = random(seed)
  const survivors: Array<string> = []
  yield* Effect.gen(function* () {
    for (let i = 0; i < count; i++) {
      const at = Math.floor(next() * rows.length)
      const [row, flips] = [rows[at]!, judged[at]!]
      const flipped = flips[Math.floor(next() * flips.length)]!
      held.current = rows.with(at, flipped)
      const { breaks, verdict } = yield* report
      const named = breaks.map(({ seq }) => seq)
      // A row that went to another chain, or took another number, is missed where it was.
      const found = named.includes(flipped.seq) || named.includes(row.seq + 1) || named.includes(row.seq)
      if (verdict !== "tampered" || !found) survivors.push(changedIn(row, flipped))
    }
  }).pipe(reportOf(held))
  return survivors
})

/** Drawn rearrangements of a chain of 50 rows that its report does not find without a key, and how many kinds were drawn. */
export const drawnTamperings = Effect.fnUntraced(function* (count: number, seed: number) {
  const mine = yield* filled("mine", 50, seed)
  const theirs = yield* filled("theirs", 50, seed + 1)
  const held = { current: [...mine, ...theirs] }
  const next = random(seed)
  const survivors: Array<string> = []
  const kinds = new Set<string>()
  yield* Effect.gen(function* () {
    if ((yield* report).breaks.length > 0) survivors.push("nothing was changed")
    for (let i = 0; i < count; i++) {
      const { left, what } = anyTampering(next, mine, theirs)
      kinds.add(what)
      held.current = [...left, ...theirs]
      if (withoutKeys((yield* report).breaks).length === 0) {
        survivors.push(`${what}: ${left.map(({ seq }) => seq).join(" ")}`)
      }
    }
  }).pipe(reportOf(held))
  return { survivors, kinds: kinds.size }
})

const report = Effect.flatMap(Audit, (audit) => audit.report())

/** The report over rows as somebody has left them. */
const reportOf = (held: { current: Rows }) =>
  Effect.provide(reading.pipe(Layer.provide(Layer.effect(AuditStore, heldStore(held)))), { local: true })

const changedIn = (row: ChainRow, flipped: ChainRow): string => {
  const other = new Map<string, unknown>(Object.entries(flipped))
  const column = Object.entries(row).find(([name, value]) => other.get(name) !== value)?.[0]
  return `row ${row.seq}, ${column}`
}

/** One drawn way to rearrange a chain that changes it: what somebody could do who can write rows and knows no key. */
const anyTampering = (next: () => number, mine: Rows, theirs: Rows): { readonly what: string; readonly left: Rows } => {
  const below = (n: number) => Math.floor(next() * n)
  const i = below(mine.length)
  const j = (i + 1 + below(mine.length - 1)) % mine.length
  const [a, b, c] = [mine[i]!, mine[j]!, theirs[below(theirs.length)]!]
  const kinds: ReadonlyArray<readonly [string, () => Rows]> = [
    ["some rows deleted", () => without(mine, new Set(mine.filter(() => next() < 0.5)), i)],
    ["a range deleted", () => mine.filter((_, at) => at < Math.min(i, j) || at > Math.max(i, j))],
    ["the end cut off", () => mine.slice(0, i)],
    ["two rows exchanged", () => mine.with(i, b).with(j, a)],
    ["two rows exchanged and renumbered", () => mine.with(i, { ...b, seq: a.seq }).with(j, { ...a, seq: b.seq })],
    [
      "two texts exchanged",
      () => mine.with(i, { ...a, canonical: b.canonical }).with(j, { ...b, canonical: a.canonical })
    ],
    [
      "two texts exchanged with their proofs",
      () =>
        mine
          .with(i, { ...a, canonical: b.canonical, hash: b.hash, hmac: b.hmac })
          .with(j, { ...b, canonical: a.canonical, hash: a.hash, hmac: a.hmac })
    ],
    ["a row repeated", () => mine.toSpliced(j, 0, a)],
    ["a row of another chain", () => mine.with(i, { ...c, chain: a.chain })],
    ["a row of another chain, made to fit", () => mine.with(i, { ...c, chain: a.chain, seq: a.seq, prev: a.prev })],
    [
      "the end of another chain",
      () => [...mine.slice(0, i), ...theirs.slice(i).map((row) => ({ ...row, chain: a.chain }))]
    ]
  ]
  const [what, left] = kinds[below(kinds.length)]!
  return { what, left: left() }
}

/** At least one goes, whatever was drawn. */
const without = (rows: Rows, gone: ReadonlySet<ChainRow>, at: number): Rows =>
  rows.filter((row, index) => index !== at && !gone.has(row))
