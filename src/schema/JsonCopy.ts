import { JsonPointer, Result } from "effect"
import { storedKeySize, storedTextSize } from "./Escape.ts"
import { foreignObject, foreignPrimitive } from "./ForeignValue.ts"
import { normaliseIdentifier } from "./Identifier.ts"
import type { JsonLimits, JsonValue, MarkedJson } from "./Json.ts"
import { putMember } from "./JsonMember.ts"
import { Marked } from "./Marked.ts"

/** The walk behind `snapshot`: the copy and its stored size, or where and why there is none. */
export type Copied<A> =
  | { readonly _tag: "Copied"; readonly json: A; readonly bytes: number }
  | { readonly _tag: "Refused"; readonly path: string; readonly problem: string }

export const copyJson = (value: unknown, limits: JsonLimits): Copied<JsonValue> => copy(value, limits, false)
export const copyMarkedJson = (value: unknown, limits: JsonLimits): Copied<MarkedJson> => copy(value, limits, true)

interface ArrayFrame {
  readonly _tag: "Array"
  readonly source: ReadonlyArray<unknown>
  readonly target: Array<MarkedJson>
  readonly length: number
  index: number
}
interface ObjectFrame {
  readonly _tag: "Object"
  readonly source: { readonly [key: string]: unknown }
  readonly target: Record<string, MarkedJson>
  readonly keys: ReadonlyArray<string>
  empty: boolean
  index: number
}
type Frame = ArrayFrame | ObjectFrame

interface Walk {
  readonly limits: JsonLimits
  readonly marks: boolean
  readonly frames: Array<Frame>
  left: number
}

class Refusal {
  readonly problem: string
  readonly below: string
  constructor(problem: string, below = "") {
    this.problem = problem
    this.below = below
  }
}

// Foreign code (getters, Proxy traps) may throw anything at any point of the walk.
function copy(value: unknown, limits: JsonLimits, marks: false): Copied<JsonValue>
function copy(value: unknown, limits: JsonLimits, marks: true): Copied<MarkedJson>
function copy(value: unknown, limits: JsonLimits, marks: boolean): Copied<MarkedJson> {
  const walk: Walk = { limits, marks, frames: [], left: limits.bytes }
  const walked = Result.try({
    try: () => run(walk, value),
    catch: () => new Refusal("could not be read: reading it threw")
  })
  if (Result.isFailure(walked)) return refused(walk, walked.failure)
  if (walked.success instanceof Refusal) return refused(walk, walked.success)
  return { _tag: "Copied", json: walked.success, bytes: limits.bytes - walk.left }
}

/** Iterative on purpose: a value nested a million levels deep MUST end in a refusal, not in a stack overflow. */
const run = (walk: Walk, root: unknown): MarkedJson | Refusal => {
  let value = root
  for (;;) {
    let done = read(walk, value)
    if (done instanceof Refusal) return done
    if (walk.left < 0) return tooLarge(walk)
    // What is complete goes into its container, and the last value of a container completes that too.
    for (;;) {
      const frame = walk.frames.at(-1)
      if (done !== undefined) {
        if (frame === undefined) return done
        put(frame, done)
        done = undefined
      } else if (frame !== undefined) {
        const next = advance(walk, frame)
        if (next instanceof Refusal) return next
        if (next !== undefined) {
          value = next.value
          break
        }
        walk.frames.pop()
        done = Object.freeze(frame.target)
      }
    }
  }
}

/** The copy of a value without members; undefined when a container was opened instead. */
const read = (walk: Walk, value: unknown): MarkedJson | Refusal | undefined => {
  if (typeof value === "string") {
    if (value.length + 2 > walk.left) return tooLarge(walk)
    walk.left -= storedTextSize(value)
    return value
  }
  if (value === null || typeof value === "boolean") {
    walk.left -= value === false ? 5 : 4
    return value
  }
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return new Refusal(`is ${value}, which JSON does not have`)
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      return new Refusal("is an integer beyond 2^53 and may have lost digits: pass it as a string")
    }
    const number = value === 0 ? 0 : value
    walk.left -= String(number).length
    return number
  }
  if (typeof value !== "object") return new Refusal(foreignPrimitive(value))
  if (Marked.is(value)) return readMarked(walk, value)
  return open(walk, value)
}

const readMarked = (walk: Walk, marked: Marked): Marked<JsonValue> | Refusal => {
  if (!walk.marks)
    return new Refusal("is marked for sealing: only metadata may be, and nothing inside a marked value again")
  const subject = normaliseIdentifier(Marked.subject(marked))
  if (subject.length < 1 || subject.length > 256)
    return new Refusal("is marked with a subject that is not 1 to 256 characters")
  // The ciphertext is base64 of the plain value and 16 bytes more.
  const room = Math.floor(((walk.left - sealedOverhead) * 3) / 4)
  const inner = copy(Marked.reveal(marked), { ...walk.limits, bytes: room }, false)
  if (inner._tag === "Refused") {
    return inner.problem === tooMany(room) ? tooLarge(walk) : new Refusal(inner.problem, inner.path)
  }
  walk.left -= sealedOverhead + Math.ceil((inner.bytes * 4) / 3)
  return new Marked(subject, inner.json)
}

/** What the sealed form of an empty value takes, rounded up. */
const sealedOverhead = 192

const open = (walk: Walk, source: object): Refusal | undefined => {
  const { frames, limits } = walk
  for (const outer of frames) if (outer.source === source) return new Refusal("contains itself")
  if (frames.length >= limits.depth) return new Refusal(`is nested deeper than ${limits.depth} levels`)
  walk.left -= 2
  if (Array.isArray(source)) {
    const length = source.length
    if (length > walk.left) return tooLarge(walk)
    if (Object.keys(source).length !== length) return new Refusal("is an array with holes or with named properties")
    frames.push({ _tag: "Array", source, target: [], length, index: -1 })
    return undefined
  }
  if (!isPlain(source)) return new Refusal(foreignObject(source))
  const keys = Object.keys(source)
  if (keys.length > limits.keys) return new Refusal(`has more than ${limits.keys} keys`)
  if (Object.getOwnPropertySymbols(source).length > 0) return new Refusal("has a symbol for a key: use strings")
  frames.push({ _tag: "Object", source, target: {}, keys, empty: true, index: -1 })
  return undefined
}

// An object of another realm has another Object.prototype, but that one too inherits from nothing.
const isPlain = (value: object): value is { readonly [key: string]: unknown } => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** Reads the next member that counts, once; undefined when there is none. */
const advance = (walk: Walk, frame: Frame): { readonly value: unknown } | Refusal | undefined => {
  frame.index++
  if (frame._tag === "Array") {
    if (frame.index >= frame.length) return undefined
    if (frame.index > 0) walk.left -= 1
    return { value: frame.source[frame.index] }
  }
  for (; frame.index < frame.keys.length; frame.index++) {
    const key = frame.keys[frame.index]!
    if (key.length + 3 > walk.left) return tooLarge(walk)
    const value = frame.source[key]
    if (value === undefined) continue
    walk.left -= storedKeySize(key) + (frame.empty ? 1 : 2)
    frame.empty = false
    return { value }
  }
  return undefined
}

const put = (frame: Frame, value: MarkedJson): void => {
  if (frame._tag === "Array") frame.target.push(value)
  else putMember(frame.target, frame.keys[frame.index]!, value)
}

const tooMany = (bytes: number) => `takes more than ${bytes} bytes as canonical JSON`
const tooLarge = (walk: Walk) => new Refusal(tooMany(walk.limits.bytes))

const refused = (walk: Walk, refusal: Refusal): Copied<never> => {
  const steps = walk.frames.flatMap((frame) =>
    frame.index < 0
      ? []
      : frame._tag === "Array"
        ? [`${frame.index}`]
        : [JsonPointer.escapeToken(frame.keys[frame.index] ?? "")]
  )
  const path = steps.map((step) => `/${step}`).join("") + refusal.below
  return { _tag: "Refused", path: path.slice(0, 200).toWellFormed(), problem: refusal.problem }
}
