import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Result } from "effect"
import { keptSecret } from "../../src/layers/embedded/KeptSecret.ts"
import { checkSecretStrength } from "../../src/schema/Secret.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "governance-secret-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("the audit secret of an embedded database", () => {
  it.effect("is made once, strong, for its owner alone, and the same for everyone after (DEC-18)", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const first = yield* keptSecret(path)
      const second = yield* keptSecret(path)
      assert.deepStrictEqual([first.made, second.made], [true, false])
      assert.strictEqual(Redacted.value(first.secret), Redacted.value(second.secret))
      assert.isTrue(Result.isSuccess(checkSecretStrength(Redacted.value(first.secret))))
      assert.strictEqual(statSync(first.path).mode & 0o777, 0o600)
      assert.deepStrictEqual(readdirSync(path), ["audit-secret"])
      assert.notInclude(JSON.stringify(first) + String(first.secret), Redacted.value(first.secret))
    })
  )

  it.effect("simultaneous starters end with one secret (IDN-08)", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const all = yield* Effect.forEach(Array.from({ length: 20 }), () => keptSecret(path), {
        concurrency: "unbounded"
      })
      assert.strictEqual(new Set(all.map(({ secret }) => Redacted.value(secret))).size, 1)
      assert.strictEqual(all.filter(({ made }) => made).length, 1)
    })
  )

  it.effect("a file that others can read, that is no secret, or that is a link is refused and left as it is", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<(file: string) => void> = [
        (file) => {
          writeFileSync(file, "a".repeat(64))
          chmodSync(file, 0o644)
        },
        (file) => writeFileSync(file, "", { mode: 0o600 }),
        (file) => writeFileSync(file, "not a secret", { mode: 0o600 }),
        (file) => {
          writeFileSync(`${file}.target`, "a".repeat(64), { mode: 0o600 })
          symlinkSync(`${file}.target`, file)
        }
      ]
      for (const prepare of cases) {
        const file = join(yield* directory, "audit-secret")
        prepare(file)
        const before = readFileSync(file, "utf8")
        const error = yield* Effect.flip(keptSecret(join(file, "..")))
        assert.strictEqual(error._tag, "EmbeddedPostgresError")
        assert.strictEqual(readFileSync(file, "utf8"), before)
      }
    })
  )
})
