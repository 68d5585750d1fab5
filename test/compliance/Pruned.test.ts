import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import { bundleOf, session } from "./PrunedBundle.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

const both = ["audit.segment_sealed", "audit.segment_pruned"]
const same = (metadata: Record<string, unknown>) => metadata

describe("a chain that was pruned", () => {
  it.effect("verifies from its seal in both verifiers, which say what is gone (BEY-12, A-29)", () =>
    Effect.gen(function* () {
      const archive = yield* bundleOf(both, same)
      assert.deepStrictEqual(verdicts(archive), ["ok", "ok"])
      const { notCovered } = Result.getOrThrow(verifyBundle(archive, Trees.key))
      assert.isTrue(notCovered.some((text) => text.startsWith(`${session}: rows 1 to 3 were pruned`)))
    })
  )

  it.effect("is missing its rows without a seal, with one that nobody carried out, or with one of other rows", () =>
    Effect.gen(function* () {
      const wrong = [
        bundleOf([], same),
        bundleOf([both[0]!], same),
        bundleOf([both[1]!], same),
        bundleOf(both, (metadata) => ({ ...metadata, lastHash: "00".repeat(32) })),
        bundleOf(both, (metadata) => ({ ...metadata, toSeq: 2 })),
        bundleOf(both, (metadata) => ({ ...metadata, fromSeq: 2 })),
        bundleOf(both, (metadata) => ({ ...metadata, chain: "session:mail-1" }))
      ]
      for (const one of wrong) assert.deepStrictEqual(verdicts(yield* one), ["tampered", "tampered"])
    })
  )
})
