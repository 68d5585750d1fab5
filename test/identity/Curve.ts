/** Ed25519 in whole numbers (RFC 8032, 5.1), slow and simple: it makes the keys and signatures that no honest program makes. */
import { createHash } from "node:crypto"

export type Point = readonly [x: bigint, y: bigint]

export const p = 2n ** 255n - 19n
export const order = 2n ** 252n + 27742317777372353535851937790883648493n
const mod = (a: bigint, m = p) => ((a % m) + m) % m
const power = (base: bigint, exponent: bigint) => {
  let [result, b] = [1n, mod(base)]
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = mod(result * b)
    b = mod(b * b)
  }
  return result
}
const inverse = (a: bigint) => power(a, p - 2n)
const d = mod(-121665n * inverse(121666n))

export const identity: Point = [0n, 1n]
export const add = ([x1, y1]: Point, [x2, y2]: Point): Point => {
  const t = mod(d * mod(x1 * x2) * mod(y1 * y2))
  return [mod((x1 * y2 + x2 * y1) * inverse(1n + t)), mod((y1 * y2 + x1 * x2) * inverse(1n - t))]
}
export const times = (scalar: bigint, point: Point): Point => {
  let [result, b] = [identity, point]
  for (let n = scalar; n > 0n; n >>= 1n) {
    if (n & 1n) result = add(result, b)
    b = add(b, b)
  }
  return result
}
/** The point with this y whose x is even or odd; undefined where the curve has none. */
export const withY = (y: bigint, odd: boolean): Point | undefined => {
  const square = mod((y * y - 1n) * inverse(mod(d * y * y) + 1n))
  let x = power(square, (p + 3n) / 8n)
  if (mod(x * x) !== square) x = mod(x * power(2n, (p - 1n) / 4n))
  if (mod(x * x) !== square) return undefined
  return [((x & 1n) === 1n) === odd ? x : mod(-x), y]
}
export const base = withY(mod(4n * inverse(5n)), false)!

export const littleEndian = (value: bigint): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
export const encode = ([x, y]: Point): Uint8Array => littleEndian(y + ((x & 1n) << 255n))
const fromLittleEndian = (bytes: Uint8Array) => bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)

/** The k of RFC 8032: SHA-512(R || A || M) modulo the order of the base. */
export const challengeOf = (r: Uint8Array, a: Uint8Array, text: string): bigint =>
  mod(fromLittleEndian(createHash("sha512").update(r).update(a).update(text).digest()), order)
export const signatureOf = (r: Uint8Array, s: bigint): Uint8Array => Uint8Array.from([...r, ...littleEndian(s)])

/** The eight points whose order divides 8: any point times the order of the base is one. */
export const torsion = (): ReadonlyArray<Point> => {
  for (let y = 2n; ; y++) {
    const point = withY(y, false)
    if (point === undefined) continue
    const t = times(order, point)
    if (times(4n, t)[1] !== 1n) return Array.from({ length: 8 }, (_, i) => times(BigInt(i), t))
  }
}
