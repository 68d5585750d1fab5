import { classify } from "../../src/schema/AddressRules.ts"
import { parseIp } from "../../src/schema/IpAddress.ts"

// Another style on purpose: numbers and sorted bounds instead of groups and masks, text made here and parsed there.
const bounds = (width: bigint, cidrs: ReadonlyArray<readonly [bigint, number]>) =>
  cidrs.map(([base, bits]) => [base, base + (1n << (width - BigInt(bits))) - 1n] as const)

const quad = (a: number, b = 0, c = 0, d = 0) => BigInt(((a * 256 + b) * 256 + c) * 256 + d)

const deniedV4 = bounds(32n, [
  [quad(0), 8],
  [quad(10), 8],
  [quad(100, 64), 10],
  [quad(127), 8],
  [quad(168, 63, 129, 16), 32],
  [quad(169, 254), 16],
  [quad(172, 16), 12],
  [quad(192, 0, 0), 24],
  [quad(192, 0, 2), 24],
  [quad(192, 31, 196), 24],
  [quad(192, 52, 193), 24],
  [quad(192, 88, 99), 24],
  [quad(192, 168), 16],
  [quad(192, 175, 48), 24],
  [quad(198, 18), 15],
  [quad(198, 51, 100), 24],
  [quad(203, 0, 113), 24],
  [quad(224), 3]
])

const deniedV6 = bounds(128n, [
  [0n, 3],
  [0x2001n << 112n, 23],
  [0x20010db8n << 96n, 32],
  [0x2002n << 112n, 16],
  [0x2620004f8000n << 80n, 48],
  [0x3fffn << 112n, 20],
  [0x4n << 124n, 2],
  [0x8n << 124n, 1]
])

const within = (ranges: ReadonlyArray<readonly [bigint, bigint]>, value: bigint) =>
  ranges.some(([from, to]) => value >= from && value <= to)

const isatap = (value: bigint) => [0x00005efen, 0x02005efen].includes((value >> 32n) & 0xffffffffn)

const textV4 = (value: bigint) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".")
const textV6 = (value: bigint) =>
  (value.toString(16).padStart(32, "0").match(/.{4}/g) ?? []).map((group) => group.replace(/^0{1,3}/, "")).join(":")

/** Addresses on which the two disagree. Half lie near the bounds of a range: most random addresses say nothing. */
export const disagreements = (count: number, seed: number): ReadonlyArray<string> => {
  let state = seed
  const word = () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return BigInt((mixed ^ (mixed >>> 16)) >>> 0)
  }
  const near = (ranges: ReadonlyArray<readonly [bigint, bigint]>, width: bigint) => {
    const [from, to] = ranges[Number(word() % BigInt(ranges.length))]!
    const step = (word() % 512n) - 256n
    return BigInt.asUintN(Number(width), (word() % 2n === 0n ? from : to) + step)
  }
  const wrong: Array<string> = []
  for (let i = 0; i < count; i++) {
    const isV4 = i % 2 === 0
    const random = isV4 ? word() : (word() << 96n) | (word() << 64n) | (word() << 32n) | word()
    const value = i % 4 < 2 ? near(isV4 ? deniedV4 : deniedV6, isV4 ? 32n : 128n) : random
    const marked = !isV4 && i % 97 === 1 ? (value & ~(0xffffffffn << 32n)) | (0x5efen << 32n) : value
    const expected = isV4 ? within(deniedV4, marked) : within(deniedV6, marked) || isatap(marked)
    const text = isV4 ? textV4(marked) : textV6(marked)
    const address = parseIp(text)
    if (address === null || (classify(address)._tag === "Denied") !== expected) wrong.push(text)
  }
  return wrong
}
