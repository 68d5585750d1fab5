import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { BundleAgentKey } from "../../src/schema/Bundle.ts"
import { verifyBundle } from "../../src/services/BundleVerifier.ts"
import { atMs, bundleWith } from "./SignedBundle.ts"
import * as Trees from "./Trees.ts"
import { verdicts } from "./Verifiers.ts"

describe("rows that an agent signed", () => {
  it.effect("are judged by the public keys that come along (IDN-06)", () =>
    Effect.gen(function* () {
      const archive = yield* bundleWith((own) => [own])
      assert.deepStrictEqual(verdicts(archive), ["ok", "ok"])
      assert.strictEqual(Result.getOrThrow(verifyBundle(archive, Trees.key)).signedRows, 1)
    })
  )

  it.effect(
    "are tampered with when the key is another agent's or was revoked before, and not judged without a key",
    () =>
      Effect.gen(function* () {
        const cases = [
          [(own: BundleAgentKey) => [{ ...own, agent: "other" }], "tampered"],
          [(own: BundleAgentKey) => [{ ...own, revokedAtMs: atMs - 1 }], "tampered"],
          [(own: BundleAgentKey) => [{ ...own, publicKey: "00".repeat(32) }], "tampered"],
          [(own: BundleAgentKey) => [{ ...own, revokedAtMs: atMs }], "ok"],
          [() => [], "unverifiable"]
        ] as const
        for (const [keys, expected] of cases) {
          assert.deepStrictEqual(verdicts(yield* bundleWith(keys)), [expected, expected])
        }
      })
  )
})
