import { hash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import {
  appendLeaves,
  consistencyProof,
  emptyFrontier,
  inclusionProof,
  isFrontier,
  leafHash,
  rootOf,
  rootOfFrontier,
  verifyConsistency,
  verifyInclusion
} from "../../src/schema/Merkle.ts"
import * as Vectors from "../schema/Vectors.ts"

const sha = (bytes: Uint8Array) => hash("sha256", bytes, "buffer")
const leaves = (count: number) => Array.from({ length: count }, (_, at) => leafHash(Buffer.from(`leaf ${at}`), sha))
const base64 = (text: string) => Buffer.from(text, "base64")
const flipped = (bytes: Uint8Array, bit: number) => {
  const copy = Uint8Array.from(bytes)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

const files = (folder: string): ReadonlyArray<string> =>
  Vectors.names(folder).flatMap((name) => (name.endsWith(".json") ? [`${folder}/${name}`] : files(`${folder}/${name}`)))

interface Case {
  readonly leafIdx: number
  readonly treeSize: number
  readonly size1: number
  readonly size2: number
  readonly root: string
  readonly root1: string
  readonly root2: string
  readonly leafHash: string
  readonly proof: ReadonlyArray<string> | null
  readonly wantErr: boolean
}

describe("The tree of checkpoints", () => {
  // Without ../shared/vectors these two are skipped; the properties below hold the same ground.
  it.skipIf(!Vectors.present)("judges every shared inclusion proof as RFC 6962 does (BEY-04)", () => {
    const wrong = files("merkle/testdata/inclusion").filter((file) => {
      const test = Vectors.json(file) as Case
      const holds = verifyInclusion(
        {
          index: test.leafIdx,
          size: test.treeSize,
          leafHash: base64(test.leafHash),
          proof: (test.proof ?? []).map(base64),
          root: base64(test.root)
        },
        sha
      )
      return holds === test.wantErr
    })
    assert.deepStrictEqual(wrong, [])
    assert.isAbove(files("merkle/testdata/inclusion").length, 90)
  })

  it.skipIf(!Vectors.present)("judges every shared consistency proof as RFC 6962 does (BEY-04)", () => {
    const wrong = files("merkle/testdata/consistency").filter((file) => {
      const test = Vectors.json(file) as Case
      const holds = verifyConsistency(
        {
          from: test.size1,
          to: test.size2,
          fromRoot: base64(test.root1),
          toRoot: base64(test.root2),
          proof: (test.proof ?? []).map(base64)
        },
        sha
      )
      return holds === test.wantErr
    })
    assert.deepStrictEqual(wrong, [])
    assert.isAbove(files("merkle/testdata/consistency").length, 90)
  })

  it("has the roots that RFC 6962's own definition gives", () => {
    const node = (left: Uint8Array, right: Uint8Array) => sha(Buffer.concat([Buffer.of(1), left, right]))
    const [a, b, c] = leaves(3) as [Uint8Array, Uint8Array, Uint8Array]
    assert.strictEqual(
      Buffer.from(rootOf([], sha)).toString("hex"),
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert.deepStrictEqual(Buffer.from(a), sha(Buffer.concat([Buffer.of(0), Buffer.from("leaf 0")])))
    assert.deepStrictEqual(rootOf([a], sha), a)
    assert.deepStrictEqual(rootOf([a, b, c], sha), node(node(a, b), c))
  })

  it("proves every leaf of every tree up to 40 leaves, and no leaf elsewhere (BEY-04)", () => {
    for (let size = 1; size <= 40; size++) {
      const all = leaves(size)
      const root = rootOf(all, sha)
      for (let index = 0; index < size; index++) {
        const claim = { index, size, leafHash: all[index]!, proof: inclusionProof(all, index, sha), root }
        assert.isTrue(verifyInclusion(claim, sha), `leaf ${index} of ${size}`)
        for (let other = 0; other < size; other++) {
          if (other !== index) assert.isFalse(verifyInclusion({ ...claim, index: other }, sha), `${other} of ${size}`)
        }
      }
    }
  })

  it("proves that every tree up to 40 leaves continues every smaller one (BEY-04)", () => {
    for (let to = 1; to <= 40; to++) {
      const all = leaves(to)
      for (let from = 1; from <= to; from++) {
        const claim = {
          from,
          to,
          fromRoot: rootOf(all.slice(0, from), sha),
          toRoot: rootOf(all, sha),
          proof: consistencyProof(all, from, sha)
        }
        assert.isTrue(verifyConsistency(claim, sha), `${from} to ${to}`)
        if (from < to) assert.isFalse(verifyConsistency({ ...claim, from: from + 1, to }, sha), `${from + 1} to ${to}`)
      }
    }
  })

  it("refuses a proof with any one bit changed, in the proof, the leaf or a root (BEY-04)", () => {
    for (const size of [2, 5, 8, 13]) {
      const all = leaves(size)
      const root = rootOf(all, sha)
      for (let index = 0; index < size; index += 3) {
        const claim = { index, size, leafHash: all[index]!, proof: inclusionProof(all, index, sha), root }
        for (let bit = 0; bit < 256; bit++) {
          assert.isFalse(verifyInclusion({ ...claim, leafHash: flipped(claim.leafHash, bit) }, sha))
          assert.isFalse(verifyInclusion({ ...claim, root: flipped(root, bit) }, sha))
          for (const [at, hash] of claim.proof.entries()) {
            assert.isFalse(verifyInclusion({ ...claim, proof: claim.proof.with(at, flipped(hash, bit)) }, sha))
          }
        }
      }
      for (let from = 1; from < size; from += 2) {
        const proof = consistencyProof(all, from, sha)
        const claim = { from, to: size, fromRoot: rootOf(all.slice(0, from), sha), toRoot: root, proof }
        for (let bit = 0; bit < 256; bit++) {
          assert.isFalse(verifyConsistency({ ...claim, fromRoot: flipped(claim.fromRoot, bit) }, sha))
          assert.isFalse(verifyConsistency({ ...claim, toRoot: flipped(root, bit) }, sha))
          for (const [at, hash] of proof.entries()) {
            assert.isFalse(verifyConsistency({ ...claim, proof: proof.with(at, flipped(hash, bit)) }, sha))
          }
        }
      }
    }
  })

  it("grows by its frontier alone to the same root as over all leaves", () => {
    const all = leaves(300)
    let frontier = emptyFrontier
    for (let from = 0; from < all.length; from += 7) {
      const more = all.slice(from, from + 7)
      frontier = appendLeaves(frontier, more, sha)
      assert.isTrue(isFrontier(frontier))
      assert.deepStrictEqual(rootOfFrontier(frontier, sha), rootOf(all.slice(0, from + more.length), sha))
    }
    assert.isFalse(isFrontier({ ...frontier, size: frontier.size + 1 }))
    assert.isFalse(isFrontier({ size: 1, peaks: [new Uint8Array(31)] }))
    assert.isFalse(isFrontier({ size: -1, peaks: [] }))
  })

  it("answers no to sizes and hashes that cannot be, without an exception", () => {
    const [leaf] = leaves(1) as [Uint8Array]
    const claim = { index: 0, size: 1, leafHash: leaf, proof: [], root: leaf }
    assert.isTrue(verifyInclusion(claim, sha))
    for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
      assert.isFalse(verifyInclusion({ ...claim, index: wrong }, sha))
      assert.isFalse(verifyInclusion({ ...claim, size: wrong }, sha))
      assert.isFalse(verifyConsistency({ from: wrong, to: 1, fromRoot: leaf, toRoot: leaf, proof: [] }, sha))
    }
    assert.isFalse(verifyInclusion({ ...claim, proof: [leaf] }, sha))
    assert.throws(() => inclusionProof([leaf], 1, sha), RangeError)
    assert.throws(() => consistencyProof([leaf], 0, sha), RangeError)
  })
})
