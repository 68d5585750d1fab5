/** SHA-256, synchronous, so that one copy serves Node and the browser. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/**
 * The peaks of an append-only tree, the largest first: the roots of the complete subtrees that its size is made of. With it a
 * leaf is appended and the root is known from at most 53 hashes, whatever the size.
 */
export interface Frontier {
  readonly size: number
  readonly peaks: ReadonlyArray<Uint8Array>
}

export const emptyFrontier: Frontier = { size: 0, peaks: [] }

/** RFC 6962, 2.1: a leaf and a node can never be taken for one another. */
export const leafHash = (data: Uint8Array, sha: Sha256): Uint8Array => sha(joined(0, data))

/** The root of the tree over these leaf hashes; of none, the hash of nothing (RFC 6962, 2.1). */
export const rootOf = (leafHashes: ReadonlyArray<Uint8Array>, sha: Sha256): Uint8Array =>
  rootOfFrontier(appendLeaves(emptyFrontier, leafHashes, sha), sha)

export const appendLeaves = (frontier: Frontier, leafHashes: ReadonlyArray<Uint8Array>, sha: Sha256): Frontier => {
  const peaks = [...frontier.peaks]
  let size = frontier.size
  for (const hash of leafHashes) {
    let peak = hash
    for (let bit = size; bit % 2 === 1; bit = half(bit)) peak = nodeHash(peaks.pop() ?? peak, peak, sha)
    peaks.push(peak)
    size += 1
  }
  return { size, peaks }
}

export const rootOfFrontier = ({ peaks }: Frontier, sha: Sha256): Uint8Array =>
  peaks.length === 0
    ? sha(new Uint8Array(0))
    : peaks.slice(0, -1).reduceRight((right, left) => nodeHash(left, right, sha), peaks[peaks.length - 1]!)

/** Whether a frontier has as many peaks of the right length as its size demands. What it says of the root is not judged. */
export const isFrontier = ({ size, peaks }: Frontier): boolean => {
  if (!isSize(size) || !peaks.every(isHash)) return false
  let count = 0
  for (let rest = size; rest > 0; rest = half(rest)) count += rest % 2
  return peaks.length === count
}

/** The hashes that lead from leaf `index` to the root (RFC 6962, 2.1.1). The index MUST be below the number of leaves. */
export const inclusionProof = (
  leafHashes: ReadonlyArray<Uint8Array>,
  index: number,
  sha: Sha256
): ReadonlyArray<Uint8Array> => {
  if (!Number.isInteger(index) || index < 0 || index >= leafHashes.length) throw new RangeError(`no leaf ${index}`)
  const path = (leaves: ReadonlyArray<Uint8Array>, at: number): ReadonlyArray<Uint8Array> => {
    if (leaves.length === 1) return []
    const split = largestPowerBelow(leaves.length)
    return at < split
      ? [...path(leaves.slice(0, split), at), rootOf(leaves.slice(split), sha)]
      : [...path(leaves.slice(split), at - split), rootOf(leaves.slice(0, split), sha)]
  }
  return path(leafHashes, index)
}

/** RFC 9162, 2.1.3.2. False for whatever is no proof, never an exception. */
export const verifyInclusion = (
  claim: {
    readonly index: number
    readonly size: number
    readonly leafHash: Uint8Array
    readonly proof: ReadonlyArray<Uint8Array>
    readonly root: Uint8Array
  },
  sha: Sha256
): boolean => {
  if (!isSize(claim.index) || !isSize(claim.size) || claim.index >= claim.size) return false
  if (!isHash(claim.leafHash) || !claim.proof.every(isHash)) return false
  let at = claim.index
  let last = claim.size - 1
  let root = claim.leafHash
  for (const sibling of claim.proof) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      root = nodeHash(sibling, root, sha)
      while (at % 2 === 0 && at !== 0) {
        at = half(at)
        last = half(last)
      }
    } else root = nodeHash(root, sibling, sha)
    at = half(at)
    last = half(last)
  }
  return last === 0 && sameHash(root, claim.root)
}

/** The hashes that show that the first `from` leaves are the beginning of these (RFC 6962, 2.1.2). `from` MUST be 1 or more. */
export const consistencyProof = (
  leafHashes: ReadonlyArray<Uint8Array>,
  from: number,
  sha: Sha256
): ReadonlyArray<Uint8Array> => {
  if (!Number.isInteger(from) || from < 1 || from > leafHashes.length) throw new RangeError(`no tree of size ${from}`)
  const path = (leaves: ReadonlyArray<Uint8Array>, size: number, whole: boolean): ReadonlyArray<Uint8Array> => {
    if (size === leaves.length) return whole ? [] : [rootOf(leaves, sha)]
    const split = largestPowerBelow(leaves.length)
    return size <= split
      ? [...path(leaves.slice(0, split), size, whole), rootOf(leaves.slice(split), sha)]
      : [...path(leaves.slice(split), size - split, false), rootOf(leaves.slice(0, split), sha)]
  }
  return path(leafHashes, from, true)
}

/** RFC 9162, 2.1.4.2. From an empty tree nothing is proved, so `from` 0 is only right for `to` 0. Never an exception. */
export const verifyConsistency = (
  claim: {
    readonly from: number
    readonly to: number
    readonly fromRoot: Uint8Array
    readonly toRoot: Uint8Array
    readonly proof: ReadonlyArray<Uint8Array>
  },
  sha: Sha256
): boolean => {
  const { from, to, fromRoot, toRoot, proof } = claim
  if (!isSize(from) || !isSize(to) || from > to || !proof.every(isHash)) return false
  if (from === to) {
    const known = from > 0 || sameHash(fromRoot, rootOf([], sha))
    return known && proof.length === 0 && sameHash(fromRoot, toRoot)
  }
  if (from === 0) return false
  let at = from - 1
  let last = to - 1
  while (at % 2 === 1) {
    at = half(at)
    last = half(last)
  }
  const start = at === 0 ? fromRoot : proof[0]
  if (start === undefined) return false
  let first = start
  let second = start
  for (const sibling of at === 0 ? proof : proof.slice(1)) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      first = nodeHash(sibling, first, sha)
      second = nodeHash(sibling, second, sha)
      while (at % 2 === 0 && at !== 0) {
        at = half(at)
        last = half(last)
      }
    } else second = nodeHash(second, sibling, sha)
    at = half(at)
    last = half(last)
  }
  return last === 0 && sameHash(first, fromRoot) && sameHash(second, toRoot)
}

const nodeHash = (left: Uint8Array, right: Uint8Array, sha: Sha256) => sha(joined(1, left, right))

const joined = (prefix: number, ...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 1))
  bytes[0] = prefix
  let at = 1
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

// Sizes may pass 2^31, where bit operators end.
const half = (value: number) => Math.floor(value / 2)

const largestPowerBelow = (size: number) => {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}

const isSize = (value: number) => Number.isSafeInteger(value) && value >= 0

// A hash of another length would let bytes move between a node's two sides.
const isHash = (bytes: Uint8Array) => bytes.length === 32

const sameHash = (left: Uint8Array, right: Uint8Array) =>
  left.length === right.length && left.every((byte, at) => byte === right[at])
