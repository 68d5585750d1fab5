import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { BundleFacts } from "../../src/schema/Bundle.ts"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import type { JsonValue } from "../../src/schema/Json.ts"
import { readZip } from "../../src/services/ZipReader.ts"
import { random } from "../schema/JsonArbitrary.ts"
import { bundleOf } from "./PrunedBundle.ts"
import { atMs, bundleWith } from "./SignedBundle.ts"
import { type Files, put, resign, rewritten, rows, textOf, zip } from "./Tampering.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

type Draw = () => number

const below = (next: Draw, n: number) => Math.floor(next() * n)
const pick = <A>(next: Draw, all: ReadonlyArray<A>): A => all[below(next, all.length)]!

/** Something else in the place of a value, of its own kind or of another. */
const other = (next: Draw, value: JsonValue): JsonValue => {
  if (next() < 0.25) return pick<JsonValue>(next, [null, 0, -1, 2 ** 53 - 1, "", "x", [], {}, true, "00", "operator"])
  if (typeof value === "number") return value + pick(next, [-1, 1, 0.5, 1e9])
  if (typeof value === "boolean") return !value
  if (typeof value === "string") {
    const at = below(next, value.length)
    const put = pick(next, ["", "0", "a", "A", " ", "é", "\u2028", value.slice(at, at + 1).repeat(2)])
    return next() < 0.2 ? value.toUpperCase() : value.slice(0, at) + put + value.slice(at + 1)
  }
  if (value === null) return pick<JsonValue>(next, ["x", 0, "ab".repeat(32)])
  if (Array.isArray(value)) {
    const at = below(next, value.length)
    return pick(next, [value.toSpliced(at, 1), [...value, value[at] ?? null], value.toReversed()])
  }
  const gone = pick(next, Object.keys(value))
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== gone))
}

/** What is told beside the evidence and checked by its form alone; the short verifier does not look at it. */
const asides = new Set(
  "activationSeq,chainIntegrityStatus,chainVerificationError,createdAt,registeredAtMs,scope,signature".split(",")
)

/** Asides stay as they were. */
const without = (changed: JsonValue, value: JsonValue): JsonValue =>
  typeof changed !== "object" || changed === null || Array.isArray(changed) || typeof value !== "object"
    ? changed
    : { ...changed, ...Object.fromEntries(Object.entries(value ?? {}).filter(([key]) => asides.has(key))) }

/** A value with one thing in it changed, however deep that stands. */
const mutated = (next: Draw, value: JsonValue): JsonValue => {
  const inside = typeof value === "object" && value !== null ? Object.keys(value).filter((key) => !asides.has(key)) : []
  if (inside.length === 0 || next() < 0.1) return without(other(next, value), value)
  const key = pick(next, inside)
  if (Array.isArray(value)) return value.map((one, i) => (String(i) === key ? mutated(next, one) : one))
  const record = value as Record<string, JsonValue>
  return { ...record, [key]: mutated(next, record[key] ?? null) }
}

const jsonFiles = ["keys.json", "proofs.json", "report.json"] as const

/** One change of a bundle by the holder of its key, who signs it anew, or by anybody. */
const change = (next: Draw, files: Files): Uint8Array => {
  const parsed = (name: string): JsonValue => JSON.parse(textOf(files, name))
  const line = (value: JsonValue) => `${canonicalize(value)}\n`
  const anew = (changed: Files) => (next() < 0.9 ? resign(changed) : changed)
  const at = below(next, textOf(files, "events.jsonl").trimEnd().split("\n").length)
  const nth = (how: (row: Record<string, JsonValue>) => Record<string, JsonValue>) =>
    rows(files, (all) => all.map((row, i) => (i === at ? how(row) : row)))
  const kinds: ReadonlyArray<() => Uint8Array> = [
    () => {
      const name = pick(next, jsonFiles)
      return zip(anew(put(files, name, line(mutated(next, parsed(name))))))
    },
    () => zip(resign(files, Trees.key, (bundle) => mutated(next, bundle as never) as unknown as BundleFacts)),
    () => zip(put(files, "manifest.json", line(mutated(next, parsed("manifest.json"))))),
    () => zip(anew(nth((row) => mutated(next, row) as Record<string, JsonValue>))),
    () => zip(anew(nth((row) => rewritten(row, (said) => Object.assign(said, mutated(next, said)))))),
    () => zip(anew(rows(files, (all) => pick(next, [all.toSpliced(at, 1), all.toReversed(), [...all, all[at]!]])))),
    () => {
      const name = pick(next, ["checkpoint.txt", "events.jsonl", "manifest.json", ...jsonFiles])
      const text = textOf(files, name)
      const where = below(next, text.length)
      const put2 = pick(next, ["", "\n", " ", "0", "\ufeff", "\u0000"])
      const edited = put(files, name, text.slice(0, where) + put2 + text.slice(where + 1))
      return zip(name === "manifest.json" ? edited : anew(edited))
    },
    () => {
      const archive = Uint8Array.from(zip(files))
      const where = below(next, archive.length)
      archive[where] = archive[where]! ^ (1 << below(next, 8))
      return archive
    }
  ]
  return pick(next, kinds)()
}

describe("the verifier of ours and the one that shares no code with it", () => {
  const count = Number(process.env.DIFFERENTIAL ?? 150)
  it.live(
    "say the same of whatever somebody makes of a bundle, signed rows and pruned chains included (BEY-04)",
    () =>
      Effect.gen(function* () {
        const archives = [
          yield* bundleOf(["audit.segment_sealed", "audit.segment_pruned"], (same) => same),
          yield* bundleWith((own) => [own]),
          yield* bundleWith((own) => [{ ...own, revokedAtMs: atMs }])
        ]
        const apart: Array<string> = []
        const seen = new Map<string, number>()
        for (const [which, archive] of archives.entries()) {
          const files = Result.getOrThrow(readZip(archive))
          for (let seed = 0; seed < count; seed++) {
            const changed = Result.try(() => change(random(1_000 * which + seed), files))
            // What has no canonical form cannot be signed anew.
            if (Result.isFailure(changed)) continue
            for (const key of [Trees.key, null]) {
              const [ours, theirs] = verdicts(changed.success, key)
              seen.set(ours, (seen.get(ours) ?? 0) + 1)
              if (ours !== theirs)
                apart.push(`bundle ${which}, seed ${seed}, ${key === null ? "no key" : "key"}: ${ours} and ${theirs}`)
            }
          }
        }
        assert.deepStrictEqual(apart, [])
        assert.isAbove(seen.get("tampered") ?? 0, count)
      }),
    120_000
  )
})
