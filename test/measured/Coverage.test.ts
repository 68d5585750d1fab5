import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Governance from "../../src/layers/Governance.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { figureText } from "../../src/schema/Coverage.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Coverage } from "../../src/services/Coverage.ts"
import { CoverageStore } from "../../src/services/CoverageStore.ts"
import * as Pricing from "../../src/services/Pricing.ts"
import * as Settings from "../../src/services/Settings.ts"
import { Wrappers } from "../../src/services/Wrappers.ts"
import { capture, memory } from "../services/World.ts"
import { llmServer, post } from "./LlmServer.ts"

const salt = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"
const measured = (host: string, options: Settings.GovernanceOptions = {}) =>
  memory({ enableCoverage: true, workspaceSalt: salt, coverageHosts: [host], ...options })
const calls = (count: number, call: () => Promise<void>) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.promise(call), { concurrency: "unbounded", discard: true })
/** What happens every five seconds has happened. */
const aRound = TestClock.adjust("5 seconds")

describe("Measured coverage (BEY-13)", () => {
  it.effect("10 wrapped and 2 raw calls are 83.3 %, and the provider sees no mark of it (COV-01, BEY-13)", () =>
    Effect.gen(function* () {
      const { asked, host, url } = yield* llmServer
      yield* Effect.gen(function* () {
        const coverage = yield* Coverage
        const wrapped = () => coverage.send(url, () => post(url))
        yield* Effect.all([calls(10, wrapped), calls(2, () => post(url))], { concurrency: 2 })
        const report = yield* coverage.report
        assert.deepInclude(report, { governed: 10, raw: 2, coveragePctReason: "ok", complete: true })
        assert.strictEqual(report.coveragePct, 10 / 12)
        assert.strictEqual(figureText(report), "83.3 %")
      }).pipe(Effect.provide(measured(host)))
      assert.lengthOf(asked, 12)
      for (const headers of asked) assert.deepStrictEqual(headers, asked[0])
    })
  )

  it.effect("nothing is counted of other hosts, and without a call there is no number (BEY-13)", () =>
    Effect.gen(function* () {
      const { url } = yield* llmServer
      yield* Effect.gen(function* () {
        const coverage = yield* Coverage
        yield* Effect.promise(() => coverage.send(url, () => post(url)))
        yield* Effect.promise(() => post(url))
        const report = yield* coverage.report
        assert.deepInclude(report, { governed: 0, raw: 0, coveragePct: null, coveragePctReason: "no_calls_seen" })
      }).pipe(Effect.provide(measured("llm.example")))
    })
  )

  it.effect("what is wrapped is in the report with the version of its SDK (COV-01, WRP-09)", () =>
    Effect.gen(function* () {
      const wrappers = yield* Wrappers
      yield* wrappers.register("openai", { sdkVersion: "7.55.0" })
      yield* wrappers.register("openai", { sdkVersion: "7.55.0" })
      yield* wrappers.register("ai")
      yield* aRound
      const [stored] = yield* (yield* CoverageStore).list
      const [reported] = (yield* (yield* Coverage).report).instances
      for (const instance of [stored, reported]) {
        assert.deepStrictEqual(instance?.wrappers, [
          { name: "openai", sdkVersion: "7.55.0", clients: 2 },
          { name: "ai", sdkVersion: null, clients: 1 }
        ])
      }
    }).pipe(Effect.provide(measured("llm.example")))
  )
})

describe("A raw call", () => {
  it.effect("is warned of once for each host; the audit row and the registry hold no name (BEY-13, COV-02)", () =>
    Effect.gen(function* () {
      const log = capture()
      const { host, url } = yield* llmServer
      yield* Effect.gen(function* () {
        const coverage = yield* Coverage
        yield* Effect.promise(() => coverage.send(url, () => post(url)))
        yield* aRound
        assert.lengthOf(log.named("coverage.ungoverned_call"), 0)
        yield* calls(3, () => post(url))
        yield* aRound
        yield* calls(3, () => post(url))
        yield* aRound
        const [warning, ...more] = log.named("coverage.ungoverned_call")
        assert.include(warning?.message, host)
        assert.strictEqual(warning?.level, "Warn")
        assert.deepStrictEqual(more, [])
        const [instance] = yield* (yield* CoverageStore).list
        const rows = yield* (yield* Audit).getEvents({ kinds: ["coverage.ungoverned_call"] })
        assert.deepStrictEqual(
          rows.map(({ metadata }) => metadata),
          [{ host: String(instance?.hosts[0]?.host), instance: String(instance?.instance) }]
        )
        assert.deepInclude(instance, { governed: 1, calls: 7 })
        assert.notInclude(JSON.stringify([instance, rows]), "127.0.0.1")
      }).pipe(Effect.provide(measured(host)), Effect.provide(log.layer))
    })
  )
})

describe("The salt of host names (CFG-03)", () => {
  const machineWith = (options: Settings.GovernanceOptions) =>
    Effect.gen(function* () {
      return (yield* (yield* Coverage).report).instances[0]?.machine
    }).pipe(Effect.provide(memory({ enableCoverage: true, ...options })))

  it.effect("is the workspace salt, else the audit secret with one warning, else there is no start", () =>
    Effect.gen(function* () {
      const log = capture()
      yield* Effect.gen(function* () {
        const own = yield* machineWith({ workspaceSalt: salt, auditSecret: "Zt8Wq2Lr5Xn9Vb4Kc7Md1Pf6Hg3Js0Ay" })
        assert.strictEqual(yield* machineWith({ workspaceSalt: salt }), own)
        assert.lengthOf(log.named("coverage.salt_from_audit_secret"), 0)
        assert.match(own ?? "", /^[0-9a-f]{64}$/)
        const derived = yield* machineWith({ auditSecret: "Zt8Wq2Lr5Xn9Vb4Kc7Md1Pf6Hg3Js0Ay" })
        assert.notStrictEqual(derived, own)
        assert.lengthOf(log.named("coverage.salt_from_audit_secret"), 1)
      }).pipe(Effect.provide(log.layer))
      for (const options of [{}, { workspaceSalt: "short" }]) {
        const error = yield* Effect.flip(machineWith(options))
        assert.deepInclude(error, { _tag: "ConfigurationError", setting: "workspaceSalt" })
      }
    })
  )

  it.effect("is not asked for while coverage is off, and then the report is disabled and wrappers go on (ENT-05)", () =>
    Effect.gen(function* () {
      const coverage = yield* Coverage
      assert.strictEqual(yield* Effect.promise(() => coverage.send("https://api.openai.com", async () => 7)), 7)
      coverage.governed("https://api.openai.com")
      assert.deepInclude(yield* Effect.flip(coverage.report), { _tag: "ModuleDisabledError", module: "coverage" })
    }).pipe(Effect.provide(memory()))
  )
})

/** Coverage over a registry that answers like this. */
const over = (store: CoverageStore["Service"], host: string) =>
  Governance.layer.pipe(
    Layer.provideMerge(Pricing.layerSettings()),
    Layer.provideMerge(Layer.succeed(CoverageStore, store)),
    Layer.provideMerge(Memory.layerStores),
    Layer.provideMerge(
      Settings.layer({ warnOnNoWrappers: false, enableCoverage: true, workspaceSalt: salt, coverageHosts: [host] })
    )
  )
const unreachable = new StoreError({ store: "CoverageStore", operation: "report", problem: "unreachable" })
const broken: Readonly<Record<string, CoverageStore["Service"]>> = {
  "does not answer": CoverageStore.of({ report: () => Effect.never, list: Effect.never }),
  fails: CoverageStore.of({ report: () => Effect.fail(unreachable), list: Effect.fail(unreachable) }),
  dies: CoverageStore.of({ report: () => Effect.die("bug"), list: Effect.fail(unreachable) }),
  "refuses the row": CoverageStore.of({ report: () => Effect.succeed(false), list: Effect.succeed([]) })
}

describe("A registry that", () => {
  for (const [how, store] of Object.entries(broken)) {
    it.effect(`${how} stops neither the host nor its calls, and the count goes on (COV-03, RES-01)`, () =>
      Effect.gen(function* () {
        const log = capture()
        const { host, url } = yield* llmServer
        const life = Effect.gen(function* () {
          const coverage = yield* Coverage
          for (let i = 0; i < 3; i++) {
            yield* Effect.promise(() => coverage.send(url, () => post(url)))
            yield* Effect.sleep("10 seconds")
          }
          yield* Effect.promise(() => post(url))
          return yield* coverage.report
        }).pipe(Effect.provide(over(store, host)), Effect.provide(log.layer))
        const fiber = yield* Effect.forkChild(life)
        // Its end included, which tries the registry once more.
        while (fiber.pollUnsafe() === undefined) {
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          yield* TestClock.adjust("1 second")
        }
        const report = yield* Fiber.join(fiber)
        assert.deepInclude(report, { governed: 3, raw: 1, complete: how === "refuses the row" })
        assert.lengthOf(log.named("coverage.mirror_failed"), 1)
      })
    )
  }
})
