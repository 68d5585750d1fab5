import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Memory from "../../src/layers/Memory.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { platform, tenant } from "../platform/Serving.ts"
import { capture } from "../services/World.ts"
import { portOf, statusOf, watched } from "./World.ts"

const program = (platform: GovernanceOptions["platform"]) =>
  Layer.fresh(Memory.layer({ testMode: true, checkpointKey: "4f8d1e7a".repeat(8), platform }))

const signed = Effect.gen(function* () {
  yield* (yield* Audit).log({ kind: "step", agentId: "clerk" })
  const checkpoints = yield* Checkpoints
  yield* checkpoints.make
  return yield* checkpoints.standings
})

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("A program and its witness", (it) => {
  it.effect("four settings are enough, and no other line of code (BEY-04, BRG-01)", () =>
    Effect.gen(function* () {
      const { token, ...place } = yield* tenant()
      const settings = watched(yield* portOf, token).platform
      const lines = capture()
      const [standing] = yield* signed.pipe(
        Effect.provide(program(settings), { local: true }),
        Effect.provide(lines.layer)
      )
      assert.deepInclude(standing, { isWitness: true, size: 1, alarm: null, error: null })
      assert.strictEqual((yield* statusOf(place)).logs[0]?.size, 1)
      assert.isTrue(lines.lines.some(({ message }) => message.includes("platform.witness_enabled")))
      assert.notInclude(lines.lines.map(({ message }) => message).join("\n"), token)
    })
  )

  it.effect(
    "without the switch nothing is shown, and with half of the settings it is said what is missing (BRG-02)",
    () =>
      Effect.gen(function* () {
        const { token, ...place } = yield* tenant()
        const settings = watched(yield* portOf, token).platform
        const lines = capture()
        for (const given of [
          { ...settings, witness: false },
          { ...settings, bridgeEnabled: false },
          { ...settings, ingestToken: undefined }
        ]) {
          const standings = yield* signed.pipe(
            Effect.provide(program(given), { local: true }),
            Effect.provide(lines.layer)
          )
          assert.deepStrictEqual(standings, [])
        }
        assert.lengthOf(
          lines.lines.filter(({ message }) => message.includes("platform.witness_incomplete")),
          2
        )
        assert.isEmpty((yield* statusOf(place)).logs)
      })
  )

  it.effect("a private platform that code does not trust is an error at start, without the token (C-02, BRG-13)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant()
      const settings = watched(yield* portOf, token).platform
      const error = yield* Effect.flip(
        Effect.provide(signed, program({ ...settings, trustedHosts: [] }), { local: true })
      )
      assert.strictEqual(error._tag, "ConfigurationError")
      assert.notInclude(`${error.message}${JSON.stringify(error)}`, token)
    })
  )
})
