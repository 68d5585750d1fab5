import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as LiveEnvironment from "../../src/cli/LiveEnvironment.ts"
import { dump, restore } from "../checkpoints/World.ts"
import { platform, tenant } from "../platform/Serving.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { portOf, statusOf } from "../witness/World.ts"
import { governance } from "./InProcess.ts"

const secret = "38b8b53befc08b03be1298b72c8efc894e319d11d3b30e4ea1bd8970e33da504"

layer(Layer.merge(LiveEnvironment.layer, platform), { excludeTestServices: true, timeout: "120 seconds" })(
  "The command line and a witness",
  (it) => {
    it.effect(
      "shows checkpoints to it, names what it says, adopts towards it, and prints its token nowhere (A-06, CFG-32)",
      () =>
        Effect.gen(function* () {
          const { token, ...place } = yield* tenant()
          const port = yield* portOf
          const { appUrl, ownerUrl } = yield* TestDatabase
          const directory = yield* Effect.acquireRelease(
            Effect.sync(() => {
              const path = mkdtempSync(join(tmpdir(), "governance-witness-"))
              writeFileSync(join(path, "key"), "0123456789abcdef".repeat(4), { mode: 0o600 })
              return path
            }),
            (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
          )
          const printed: Array<string> = []
          const run = (more: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
            Effect.tap(
              governance(args, {
                env: {
                  GOVERNANCE_DATABASE_URL: Redacted.value(appUrl),
                  GOVERNANCE_AUDIT_SECRET: secret,
                  GOVERNANCE_CHECKPOINT_KEY: `file://${join(directory, "key")}`,
                  GOVERNANCE_STATE_DIR: join(directory, "state"),
                  GOVERNANCE_PLATFORM_BRIDGE_ENABLED: "true",
                  GOVERNANCE_PLATFORM_WITNESS: "true",
                  GOVERNANCE_PLATFORM_INGEST_URL: `http://127.0.0.1:${port}/api/v1/ingest/events`,
                  GOVERNANCE_PLATFORM_INGEST_TOKEN: token,
                  ...more
                }
              }),
              ({ err, out }) => Effect.sync(() => printed.push(out, err))
            )
          const trusted = ["--trust-host", `127.0.0.1:${port}`]
          const emit = run({}, "emit", "step", "--agent", "clerk", "--session", "s1")

          // A variable alone opens no private platform: commands that need none work, and the others say what is missing.
          assert.strictEqual((yield* emit).code, 0)
          const shut = yield* run({}, "checkpoint")
          assert.strictEqual(shut.code, 0, shut.err)
          assert.include(shut.err, "--trust-host")
          const made = yield* run({}, "checkpoint", ...trusted)
          assert.strictEqual(made.code, 0, made.err)
          assert.lengthOf((yield* statusOf(place)).logs, 1)
          const shown = yield* run({}, "checkpoint", "show", ...trusted)
          assert.match(shown.out, /witness 127\.0\.0\.1:\d+ has checkpoint \d+\n/)
          assert.match((yield* run({}, "bridge", "status")).out, /witness +on/)

          yield* dump
          yield* emit
          assert.strictEqual((yield* run({}, "checkpoint", ...trusted)).code, 0)
          yield* restore
          rmSync(join(directory, "state"), { recursive: true, force: true })
          const back = yield* run({}, "checkpoint", ...trusted)
          assert.strictEqual(back.code, 3, back.out)
          assert.include(back.err, "witness 127.0.0.1")
          assert.strictEqual((yield* run({}, "verify", ...trusted)).code, 3)
          assert.include(
            (yield* run({}, "checkpoint", "show", ...trusted)).out,
            "ALARM: it has refused one as rolled_back"
          )
          const doctor = yield* run({}, "doctor", ...trusted)
          assert.match(doctor.out, /FAIL {2}witness +witness 127\.0\.0\.1:\d+ has checkpoint \d+; ALARM/)

          const owner = { GOVERNANCE_DATABASE_URL: Redacted.value(ownerUrl) }
          const adopted = yield* run(owner, "checkpoint", "adopt", "--reason", "disk died", "--by", "ada", ...trusted)
          assert.strictEqual(adopted.code, 0, adopted.err)
          const status = yield* statusOf(place)
          assert.deepStrictEqual(
            status.adoptions.map(({ by, reason }) => [by, reason]),
            [["ada", "disk died"]]
          )
          assert.isTrue(status.alarms.every(({ answered_by }) => answered_by !== null))
          assert.strictEqual((yield* run({}, "verify", ...trusted)).code, 0)
          assert.notInclude((yield* run({}, "doctor", ...trusted)).out, "ALARM")
          assert.notInclude(printed.join("\n"), token)
        }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
    )
  }
)
