import { assert, describe, it } from "@effect/vitest"
import { differing, tellsTheColumns } from "../../src/schema/CanonicalText.ts"
import { genesis, headOf, seal } from "../../src/schema/Chain.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId, EventId, KeyId, SessionId, sessionChain } from "../../src/schema/Ids.ts"
import { random, Seed } from "../schema/JsonArbitrary.ts"
import { anyDraft, keys } from "./Chains.ts"

/** A first row and its successor, signed or not. */
const anyRows = (next: () => number): ReadonlyArray<ChainRow> => {
  const signer = next() < 0.5 ? null : { fingerprint: "f".repeat(64), sign: keys.hash }
  const first = seal(anyDraft(next), genesis, { ...keys, signer })
  return [first, seal(anyDraft(next), headOf(first), { ...keys, signer })]
}

const other = EventId.make("01890a5d-ac96-774b-bcce-b302099a8057")
const flipped = (bytes: Uint8Array, bit: number) =>
  bytes.map((byte, n) => (n === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))

/** Every column that the text repeats, each with another value. */
const changes = (row: ChainRow, bit: number): ReadonlyArray<readonly [column: string, changed: Partial<ChainRow>]> => [
  ["agent", { agent: AgentId.make(`${row.agent}x`) }],
  ["at", { atMs: row.atMs + 1 }],
  ["at", { atMs: row.atMs - 86_400_000 }],
  ["chain", { chain: sessionChain(SessionId.make("t")) }],
  ["id", { id: other }],
  ["keyId", { keyId: KeyId.make("0".repeat(32)) }],
  ["kind", { kind: `${row.kind} ` }],
  ["parent", { parent: row.parent === null ? other : null }],
  ["parent", { parent: other }],
  ["prev", { prev: row.prev === null ? new Uint8Array(32) : null }],
  ["prev", { prev: row.prev === null ? new Uint8Array(0) : flipped(row.prev, bit) }],
  ["seq", { seq: row.seq + 1 }],
  ["seq", { seq: row.seq + 10 }],
  ["session", { session: row.session === null ? SessionId.make("x") : null }],
  ["signer", { signer: row.signer === null ? "x" : null }],
  ["signer", { signer: "e".repeat(64) }]
]

describe("the canonical text of a row", () => {
  it.prop(
    "tells every column, each bit of the link too (A-03)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      for (const row of anyRows(next)) {
        assert.isTrue(tellsTheColumns(row))
        assert.isNull(differing(row))
        for (const [column, changed] of changes(row, Math.floor(next() * 256))) {
          const tampered = { ...row, ...changed }
          assert.isFalse(tellsTheColumns(tampered), column)
          assert.deepStrictEqual(differing(tampered), [column])
        }
      }
    },
    { arbitrary: { runs: 300 } }
  )

  it.prop(
    "tells them in all of its parts that repeat columns: no character there can be another, be gone or be there twice (A-03)",
    [Seed],
    ([seed]) => {
      const next = random(seed)
      for (const row of anyRows(next)) {
        const { canonical } = row
        const beforeInputHash = canonical.indexOf(',"inputHash":') + ',"inputHash":'.length
        const keyAt = canonical.indexOf(`,"keyId":"${row.keyId}"`)
        const metadata = canonical.indexOf(',"metadata":', keyAt) + ',"metadata":'.length
        const end = canonical.lastIndexOf(',"parent":')
        const repeats = (n: number) => n < beforeInputHash || (n >= keyAt && n < metadata) || n >= end
        for (let n = 0; n < canonical.length; n++) {
          if (!repeats(n)) continue
          const was = canonical[n]!
          const [before, after] = [canonical.slice(0, n), canonical.slice(n + 1)]
          // Doubled beside the metadata it is one of theirs, and the hash tells.
          const twice = n === metadata - 1 || n === end ? [] : [was + was]
          for (const put of ["", ...twice, was === "0" ? "1" : "0", was === '"' ? "'" : '"']) {
            const tampered = before + put + after
            assert.isFalse(tellsTheColumns({ ...row, canonical: tampered }), `${n} of ${canonical} as ${put}`)
          }
        }
        assert.isFalse(tellsTheColumns({ ...row, canonical: `${canonical}}` }))
        // Whatever metadata are, they are something.
        assert.isFalse(
          tellsTheColumns({ ...row, canonical: canonical.slice(0, metadata) + canonical.slice(end) }),
          "nothing between"
        )
        const middle = canonical.slice(keyAt, metadata)
        assert.isFalse(tellsTheColumns({ ...row, canonical: canonical.replace(middle, "") }), "no middle")
      }
    },
    { arbitrary: { runs: 40 } }
  )
})
