import { assert, describe, it, vi } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { capture, memory } from "../services/World.ts"
import { doorTo, type Scripted, scripted } from "./Platform.ts"
import { bridged, ingestUrl, log, platformOptions, settle, token } from "./World.ts"

/** The bridge as a process has it that has never started one. */
const fresh = Effect.promise(async () => {
  vi.resetModules()
  return await import("../../src/bridge/Bridge.ts")
})

const started = (platform: Scripted, options: GovernanceOptions, env: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const Bridge = yield* fresh
    const lines = capture()
    const stats = yield* Effect.gen(function* () {
      yield* log("tool.call")
      yield* settle
      return yield* Effect.flatMap(Bridge.Bridge, (bridge) => bridge.stats)
    }).pipe(
      Effect.provide(Bridge.layer.pipe(Layer.provide(doorTo(platform)), Layer.provideMerge(memory(options)))),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })),
      Effect.provide(lines.layer)
    )
    return { stats, lines, named: (name: string) => lines.named(`platform.${name}`) }
  })

describe("switching the bridge on", () => {
  it.effect(
    "all 16 combinations of the variables: only the three together send, and every half says so once (BRG-01, BRG-02, BRG-04, B-15)",
    () =>
      Effect.gen(function* () {
        for (let bits = 0; bits < 16; bits++) {
          const platform = scripted()
          const has = (bit: number) => (bits & (1 << bit)) !== 0
          const env = {
            ...(has(0) ? { GOVERNANCE_PLATFORM_BRIDGE_ENABLED: "true" } : {}),
            ...(has(1) ? { GOVERNANCE_PLATFORM_INGEST_URL: ingestUrl } : {}),
            ...(has(2) ? { GOVERNANCE_PLATFORM_INGEST_TOKEN: token } : {}),
            ...(has(3) ? { GOVERNANCE_PLATFORM_TRUSTED_HOSTS: "platform.example" } : {})
          }
          const { lines, named, stats } = yield* started(platform, {}, env)
          const on = has(0) && has(1) && has(2)
          assert.strictEqual(stats.enabled, on, `${bits}`)
          assert.lengthOf(platform.asked, on ? 1 : 0, `${bits}`)
          assert.lengthOf(named("bridge_enabled"), on ? 1 : 0)
          assert.lengthOf(named("bridge_off"), !has(0) && (has(1) || has(2)) ? 1 : 0)
          assert.lengthOf(named("bridge_incomplete"), has(0) && !on ? 1 : 0)
          assert.notInclude(JSON.stringify(lines.lines), token)
        }
      })
  )

  it.effect(
    "one WARN in a process, with the URL and where its data stay, however often it starts (BRG-03, C-03, C-04)",
    () =>
      Effect.gen(function* () {
        const Bridge = yield* fresh
        const lines = capture()
        for (let i = 0; i < 3; i++) {
          yield* Effect.void.pipe(
            Effect.provide(
              Bridge.layer.pipe(
                Layer.provide(doorTo(scripted())),
                Layer.provideMerge(memory(platformOptions({ ingestUrl: `${ingestUrl}?key=canary-in-the-query` })))
              )
            ),
            Effect.provide(lines.layer)
          )
        }
        const [line, ...others] = lines.named("platform.bridge_enabled")
        assert.isEmpty(others)
        assert.strictEqual(line?.level, "Warn")
        assert.include(line?.message, ingestUrl)
        assert.include(line?.message, "https://platform.example/data-residency")
        assert.notInclude(JSON.stringify(lines.lines), "canary")
      })
  )

  it.effect("that line shows no secret that stands in the path (BRG-03, B-22)", () =>
    Effect.gen(function* () {
      const key = "q7RkT2mZ9xLw4NpB8vYs3HcD6fJg1AeU"
      for (const url of [
        `https://${["postgres", "//app:Canary471!@db.internal:5432/app@platform.example/api"].join(":")}`,
        `https://platform.example/in/${key}/events`,
        `https://platform.example/api;token=Canary471!/events`
      ]) {
        const { lines, named } = yield* started(scripted(), platformOptions({ ingestUrl: url }))
        assert.lengthOf(named("bridge_enabled"), 1)
        assert.notMatch(JSON.stringify(lines.lines), /Canary|q7RkT2mZ/, url)
      }
    })
  )

  it.effect("settings that switch it on in a program without it are no silence (BRG-04)", () =>
    Effect.gen(function* () {
      const without = capture()
      yield* TestClock.adjust("11 seconds").pipe(
        Effect.provide(memory(platformOptions())),
        Effect.provide(without.layer)
      )
      assert.lengthOf(without.named("platform.bridge_missing"), 1)
      const quiet = capture()
      yield* TestClock.adjust("11 seconds").pipe(
        Effect.provide(Layer.mergeAll(bridged(scripted()))),
        Effect.provide(quiet.layer)
      )
      yield* Effect.provide(Effect.provide(TestClock.adjust("11 seconds"), memory()), quiet.layer)
      assert.isEmpty(quiet.named("platform.bridge_missing"))
    })
  )

  it.effect("white space around a token is cut off, and what would break a header does not start (BRG-16, B-23)", () =>
    Effect.gen(function* () {
      const platform = scripted()
      yield* started(platform, platformOptions({ ingestToken: Redacted.make(` \t${token}\r\n`) }))
      assert.strictEqual(platform.asked[0]?.headers.authorization, `Bearer ${token}`)
      for (const bad of [
        "wf_canary canary",
        "wf_canary\u0000123",
        "wf_canary\r\nX-Evil: 1",
        "",
        "   ",
        "short",
        "wf_canary\u00e4\u00f6\u00fc",
        "x".repeat(513)
      ]) {
        const error = yield* Effect.flip(started(platform, platformOptions({ ingestToken: bad })))
        assert.deepInclude({ ...error }, { _tag: "ConfigurationError", setting: "platform.ingestToken" })
        assert.notMatch(`${error.message} ${JSON.stringify(error)}`, /canary/)
      }
    })
  )

  const refused: ReadonlyArray<readonly [what: string, url: string]> = [
    ["http", "http://platform.example/api/v1/ingest/events"],
    ["a private address", "https://10.0.0.1/canary"],
    ["a private address in decimal", "https://167772161/canary"],
    ["loopback", "https://127.0.0.1/canary"],
    ["loopback in IPv6", "https://[::1]/canary"],
    ["a metadata address", "https://169.254.169.254/canary"],
    ["a metadata name", "https://metadata.google.internal/canary"],
    ["another port", "https://platform.example:8443/canary"],
    ["a user", "https://user:canary@platform.example/"],
    ["a fragment", "https://platform.example/#canary"],
    ["no URL", "canary"],
    ["a file", "file:///etc/passwd"]
  ]
  for (const [what, url] of refused) {
    it.effect(
      `does not start with ${what} as its URL, sends nothing, and does not show it (BRG-13, BRG-17, B-12)`,
      () =>
        Effect.gen(function* () {
          const platform = scripted()
          const error = yield* Effect.flip(started(platform, platformOptions({ ingestUrl: url })))
          assert.deepInclude({ ...error }, { _tag: "ConfigurationError", setting: "platform.ingestUrl" })
          assert.notMatch(`${error.message} ${JSON.stringify(error)}`, /canary/)
          assert.isEmpty(platform.asked)
        })
    )
  }

  it.effect("code opens a host exactly; a variable opens nothing and only narrows (BRG-14, C-02, DEC-11, B-13)", () =>
    Effect.gen(function* () {
      const platform = scripted()
      const local = "https://platform.intra:8443/api/v1/ingest/events"
      const env = { GOVERNANCE_PLATFORM_TRUSTED_HOSTS: "platform.intra:8443" }
      yield* Effect.flip(started(platform, platformOptions({ ingestUrl: local }), env))
      yield* Effect.flip(
        started(platform, platformOptions({ ingestUrl: local, trustedHosts: ["evil-platform.intra:8443"] }))
      )
      yield* Effect.flip(started(platform, platformOptions({ ingestUrl: local, trustedHosts: ["*.intra:8443"] })))
      assert.isEmpty(platform.asked)
      const open = platformOptions({ ingestUrl: local, trustedHosts: ["platform.intra:8443"] })
      assert.isTrue((yield* started(platform, open)).stats.enabled)
      const narrow = { GOVERNANCE_PLATFORM_TRUSTED_HOSTS: "other.example" }
      const error = yield* Effect.flip(started(platform, open, narrow))
      assert.strictEqual(error._tag, "ConfigurationError")
      yield* Effect.flip(started(platform, { ...open, egress: { allowedHosts: ["other.example"] } }))
    })
  )

  it.effect("a queue or a workflow that cannot be is refused (ENT-04)", () =>
    Effect.gen(function* () {
      for (const platform of [
        { queueSize: 0 },
        { queueSize: 1.5 },
        { queueSize: -1 },
        { workflow: "" },
        { workflow: "a/b" }
      ]) {
        const error = yield* Effect.flip(started(scripted(), platformOptions(platform)))
        assert.strictEqual(error._tag, "ConfigurationError")
      }
      const silent = yield* Effect.flip(started(scripted(), { ...platformOptions(), enableAudit: false }))
      assert.strictEqual(silent._tag, "ConfigurationError")
    })
  )
})
