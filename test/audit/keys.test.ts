import { hkdfSync } from "node:crypto"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Logger, Redacted } from "effect"
import { KeyId } from "../../src/schema/Ids.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"

const strong = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
const older = "1b4f0e9851971998e732078544c96b36c3d01cedf7caa332359d6f1d83567014"
const of = (secret: string, historic: ReadonlyArray<string> = []) =>
  ChainKeys.make({
    secret: Redacted.make(secret),
    historic: historic.map((one) => Redacted.make(one)),
    ephemeralAllowed: false
  })

describe("ChainKeys", () => {
  it.effect("refuses weak secrets, by naming the setting and the fault (K-01, CFG-02)", () =>
    Effect.gen(function* () {
      for (const weak of ["", "short", "changeme".repeat(8), "a".repeat(64), "0123456789abcdef".repeat(4)]) {
        const error = yield* Effect.flip(of(weak))
        assert.strictEqual(error._tag, "ConfigurationError")
        assert.strictEqual(error.setting, "GOVERNANCE_AUDIT_SECRET")
        if (weak !== "") assert.notInclude(error.message, weak)
      }
      const historic = yield* Effect.flip(of(strong, ["weak"]))
      assert.include(historic.setting, "GOVERNANCE_CHAIN_KEY_")
    })
  )

  it.effect("refuses to start without a secret where the log is kept (DEC-18)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ChainKeys.make({ secret: null, ephemeralAllowed: false }))
      assert.strictEqual(error.setting, "GOVERNANCE_AUDIT_SECRET")
    })
  )

  it.effect("makes up a secret where that is allowed, warns once, and says so (CFG-02, DEC-18)", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const logger = Logger.make((entry) => void lines.push([entry.logLevel, entry.message]))
      const make = ChainKeys.make({ secret: undefined, ephemeralAllowed: true })
      const one = yield* Effect.provide(make, Logger.layer([logger]))
      const two = yield* make
      assert.isTrue(one.ephemeral)
      assert.notStrictEqual(one.fingerprint, two.fingerprint)
      assert.strictEqual(lines.length, 1)
      assert.include(inspect(lines), "Warn")
      assert.isFalse((yield* of(strong)).ephemeral)
    })
  )

  it.effect("derives a key for each purpose by HKDF, and never uses the secret itself (K-02)", () =>
    Effect.gen(function* () {
      const keys = yield* of(strong)
      const expected = hkdfSync("sha256", Buffer.from(strong, "hex"), "", "effect-governance/v1/tokens", 32)
      assert.deepStrictEqual(keys.deriveKey("tokens").export(), Buffer.from(expected))
      assert.notDeepEqual(keys.deriveKey("tokens").export(), keys.deriveKey("cookies").export())
      assert.notDeepEqual(keys.macOf("tokens")("x"), keys.current.mac("x"))
      assert.notDeepEqual(keys.macOf("tokens")("x"), keys.macOf("cookies")("x"))
    })
  )

  it.effect("knows historic keys by their whole id alone, never by a prefix (K-07, CFG-06, ROT-01)", () =>
    Effect.gen(function* () {
      const before = yield* of(older)
      const now = yield* of(strong, [older])
      assert.deepStrictEqual(now.macFor(before.current.keyId)?.("row"), before.current.mac("row"))
      assert.deepStrictEqual(now.macFor(now.current.keyId)?.("row"), now.current.mac("row"))
      const samePrefix = KeyId.make(before.current.keyId.slice(0, 8) + now.current.keyId.slice(8))
      assert.isUndefined(now.macFor(samePrefix))
      assert.isUndefined((yield* of(strong)).macFor(before.current.keyId))
      assert.strictEqual(now.fingerprint.slice(0, 32), now.current.keyId)
    })
  )

  it.effect("shows no secret however it is printed (K-12, CFG-32)", () =>
    Effect.gen(function* () {
      const keys = yield* of(strong, [older])
      const exit = yield* Effect.exit(of(strong, [`${older.slice(0, 20)}zz`]))
      const printed = [
        inspect(keys, { depth: 9, showHidden: true }),
        inspect(keys.deriveKey("x"), { depth: 9, showHidden: true }),
        JSON.stringify(keys),
        Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      ].join("\n")
      for (const secret of [strong, older, older.slice(0, 20), Buffer.from(strong, "hex").toString("base64")]) {
        assert.notInclude(printed, secret)
      }
    })
  )
})
