import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Redacted, References } from "effect"
import { TestClock } from "effect/testing"
import * as Bridge from "../../src/bridge/Bridge.ts"
import { alertText } from "../../src/schema/BudgetAlert.ts"
import { AgentId, SessionId } from "../../src/schema/Ids.ts"
import * as ApprovalWebhook from "../../src/services/ApprovalWebhook.ts"
import { Audit } from "../../src/services/Audit.ts"
import { BridgeStateStore } from "../../src/services/BridgeStateStore.ts"
import { Egress } from "../../src/services/Egress.ts"
import { EgressDoor } from "../../src/services/EgressDoor.ts"
import { GateRelay } from "../../src/services/GateRelay.ts"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { Settings } from "../../src/services/Settings.ts"
import { leaks } from "../../src/testing/Canaries.ts"
import { egressOn, makeNetwork } from "../egress/Fakes.ts"
import { clerk, pay } from "../gates/Gates.ts"
import { kinds, randomOf } from "../schema/SecretKinds.ts"
import { capture, memory } from "../services/World.ts"
import { doorTo, type Reply, scripted } from "./Platform.ts"
import { bridged, ingestUrl, log, platformOptions, settle, stats, token } from "./World.ts"

/** What can be told apart by its form; random words alone may pass for names (G11 wants 99 of 100). */
const planted = kinds.flatMap((kind, k) => {
  const { secret, text } = kind.make(randomOf(90_210 + k))
  return kind.name.startsWith("a random word") || secret.length < 8 ? [] : [{ name: kind.name, secret, text }]
})
const canaries = Object.fromEntries(planted.map(({ name, secret }) => [name, secret]))
const captured = (name: string, text: string) => ({ name, bytes: new TextEncoder().encode(text) })

/** Every way in which a value becomes text in somebody's hands, hidden members and all. */
const shown = (value: unknown): string =>
  [
    inspect(value, { depth: 6, showHidden: true, maxArrayLength: null, maxStringLength: null }),
    inspect(value),
    String(value),
    JSON.stringify(value, (_, member) => (typeof member === "bigint" ? `${member}` : member)) ?? ""
  ].join("\n")

/** An error as its finder may print it. */
const told = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return ""
  const errors = exit.cause.reasons.flatMap((reason) => (reason._tag === "Fail" ? [reason.error] : []))
  const fields = (error: unknown) =>
    error instanceof Error
      ? [error.message, error.stack ?? "", String(Reflect.get(error, "recoveryHint")), inspect(error.cause)]
      : []
  return [
    Cause.pretty(exit.cause),
    shown(exit.cause),
    ...errors.flatMap((error) => [shown(error), ...fields(error)])
  ].join("\n")
}

describe("secrets and every other exit of the bridge", () => {
  it.effect(
    "a setting that is a secret, or in the wrong place, is in no error, line, service or object (B-22, B-23, K-12, G11)",
    () =>
      Effect.gen(function* () {
        const texts: Array<string> = []
        let failed = 0
        const lines = capture()
        for (const [k, { text }] of planted.entries()) {
          const wrong = [
            platformOptions({ ingestToken: `${text} ${text}` }),
            platformOptions({ ingestUrl: text }),
            platformOptions({ ingestUrl: `https://${text}@platform.example/api/v1/ingest/events` }),
            platformOptions({ ingestUrl: `http://platform.example/${text}` }),
            platformOptions({ trustedHosts: [`${text}/`] }),
            platformOptions({ workflow: `${text}/` }),
            { ...platformOptions(), egress: { allowedHosts: [`${text}/`] } }
          ]
          // Two of the seven for each kind: each setting meets a dozen kinds.
          for (const options of [wrong[k % 7]!, wrong[(k + 3) % 7]!]) {
            const exit = yield* stats.pipe(
              Effect.provide(Bridge.layer.pipe(Layer.provide(doorTo(scripted())), Layer.provideMerge(memory(options)))),
              Effect.provide(lines.layer),
              Effect.exit
            )
            if (Exit.isFailure(exit)) failed++
            texts.push(told(exit))
          }
          // A token that can be sent is one: whatever holds it does not show it.
          const bare = text
            .replace(/[^\x21-\x7e]/g, "")
            .padEnd(8, "x")
            .slice(0, 512)
          yield* Effect.gen(function* () {
            yield* log("tool.call")
            yield* settle
            texts.push(shown(yield* stats), shown(yield* Bridge.Bridge), shown(yield* Settings))
            texts.push(shown((yield* Settings).platform))
          }).pipe(
            Effect.provide(
              bridged(scripted(), {
                platform: { ingestToken: Redacted.make(bare) }
              })
            ),
            Effect.provide(lines.layer)
          )
        }
        assert.isAbove(failed, planted.length)
        const said = lines.lines.map(({ message }) => captured("log", message))
        assert.isAbove(Object.keys(canaries).length, 50)
        const all = [...texts.map((text) => captured("text", text)), ...said]
        assert.isNotEmpty(leaks(all, { control: "platform.trustedHosts" }))
        assert.deepStrictEqual(leaks(all, canaries), [])
      }).pipe(Effect.provideService(References.MinimumLogLevel, "All")),
    120_000
  )

  it.effect(
    "services, stats and states of a bridge that has met everything show no secret of an event or of its own (B-22, G11)",
    () => {
      const platform = scripted((asked) =>
        asked.path.endsWith("/batch") ? { status: 404 } : asked.json?.metadata?.n === 2 ? { status: 422 } : undefined
      )
      return Effect.gen(function* () {
        yield* TestClock.adjust("5 seconds")
        for (const [n, { text }] of planted.entries()) {
          const metadata = { n, text, deep: [text] }
          yield* Audit.use((audit) => audit.log({ kind: "note", agentId: "clerk", metadata }))
        }
        yield* TestClock.adjust("30 seconds")
        const state = yield* BridgeStateStore.use((store) => store.read("bridge/default"))
        const door = yield* EgressDoor
        const egress = yield* Effect.scoped(door.open({ trusted: new Set(), allowed: null, allowMetadata: false }))
        const things = {
          stats: yield* stats,
          bridge: yield* Bridge.Bridge,
          settings: yield* Settings,
          relay: yield* GateRelay,
          states: yield* BridgeStateStore,
          state,
          door,
          egress
        }
        assert.isAbove(things.stats.sent, 50)
        const own = { ...canaries, token }
        assert.isNotEmpty(leaks([captured("settings", shown(things.settings))], { control: ingestUrl }))
        for (const [name, thing] of Object.entries(things)) {
          assert.deepStrictEqual(leaks([captured(name, shown(thing))], own), [], name)
        }
        for (const url of [ingestUrl, "http://10.0.0.1/"]) {
          for (const { text } of planted) {
            const asked = egress.post(`${url}?q=${encodeURIComponent(text)}`, {
              body: text,
              headers: { authorization: Redacted.make(`Bearer ${text}\n`), "x-a": `${text}\u0000` }
            })
            assert.deepStrictEqual(leaks([captured("error", told(yield* Effect.exit(asked)))], canaries), [])
          }
        }
      }).pipe(Effect.provide(Layer.merge(bridged(platform, { platform: { outbox: true } }), doorTo(platform))))
    },
    120_000
  )

  it.effect(
    "whatever a platform answers, none of its text is in a line, a row, an error or stats (B-24, FWD-07)",
    () =>
      Effect.gen(function* () {
        const texts: Array<string> = []
        const lines = capture()
        const answers = (text: string): ReadonlyArray<Reply> => [
          { status: 200, body: `<html>${text}` },
          { status: 401, body: { error: text } },
          { status: 402, body: { error: "tier_not_entitled", upgrade_url: `https://${text}@platform.example/` } },
          { status: 402, body: { error: "tier_not_entitled", upgrade_url: `https://evil.example/${text}` } },
          { status: 409, body: { error: "seq_out_of_order", expected_seq: text } },
          { status: 422, body: { error: text } },
          { status: 429, body: text, retryAfter: text },
          { status: 500, body: text },
          { status: 302, body: text }
        ]
        for (const [k, { text }] of planted.entries()) {
          const reply = answers(text)[k % answers(text).length]!
          const platform = scripted(({ method, path, json }, nth) => {
            if (method === "GET")
              return { status: 200, body: { status: "granted", resolved_at: null, reason: text, by: text } }
            return path.endsWith("/gates")
              ? { status: 200, body: { text, id: json.request_id } }
              : nth > 3
                ? reply
                : undefined
          })
          yield* Effect.gen(function* () {
            yield* clerk()
            const call = yield* Effect.forkChild(Effect.succeed("paid").pipe(governed(pay())))
            yield* settle
            for (let i = 0; i < 5; i++) yield* Effect.andThen(log("note"), TestClock.adjust("3 seconds"))
            yield* TestClock.adjust("1 minute")
            texts.push(shown(yield* stats), shown(yield* Audit.use((audit) => audit.getEvents({}))))
            yield* Fiber.interrupt(call)
            texts.push(told(yield* Fiber.await(call)))
          }).pipe(Effect.provide(bridged(platform)), Effect.provide(lines.layer))
        }
        assert.isNotEmpty(lines.named("platform.bridge_disabled"))
        assert.isNotEmpty(lines.named("platform.decision_dropped"))
        texts.push(...lines.lines.map(({ message }) => message))
        const all = texts.map((text) => captured("text", text))
        assert.isNotEmpty(leaks(all, { control: "platform.decision_dropped" }))
        assert.deepStrictEqual(leaks(all, canaries), [])
      }).pipe(Effect.provideService(References.MinimumLogLevel, "All")),
    120_000
  )

  it.effect(
    "notices and alerts to webhooks: no secret in the names of agents, sessions and actions (BEY-10, WHK-02, B-22)",
    () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        const lines = capture()
        yield* Effect.gen(function* () {
          yield* Layer.build(
            Layer.fresh(ApprovalWebhook.layer).pipe(
              Layer.provide([
                Layer.effect(Egress, egressOn(network)),
                Layer.effect(
                  Settings,
                  Effect.map(Settings, (settings) => ({
                    ...settings,
                    approvalWebhooks: [
                      {
                        url: Redacted.make("https://hooks.example/path"),
                        secret: Redacted.make(`whsec_${Buffer.from("0123456789abcdefghijklmn").toString("base64")}`),
                        agents: null
                      }
                    ]
                  }))
                )
              ])
            )
          )
          yield* TestClock.adjust("2 seconds")
          for (const { text } of planted) {
            yield* Gates.use((gates) =>
              gates.request(`do ${text}`.slice(0, 500), `agent ${text}`.slice(0, 250), { text })
            )
          }
          yield* TestClock.adjust("30 seconds")
        }).pipe(Effect.scoped, Effect.provide(memory()), Effect.provide(lines.layer))
        assert.isAtLeast(network.posted.length, planted.length)
        const sent = network.posted.map(({ authority, request }) =>
          captured("notice", `${authority} ${JSON.stringify(request.headers)} ${request.body}`)
        )
        assert.isNotEmpty(leaks(sent, { control: "approval.requested" }))
        const alerts = planted.map(({ text }) =>
          captured(
            "alert",
            alertText(
              {
                agentId: AgentId.make(`agent ${text}`.slice(0, 250)),
                sessionId: SessionId.make(`session ${text}`.slice(0, 250)),
                cap: "perAgentUsdDaily",
                used: 1n,
                limit: 1n,
                thresholdPct: 80,
                day: "2026-01-01"
              },
              "2026-01-01T00:00:00.000Z"
            )
          )
        )
        const said = lines.lines.map(({ message }) => captured("log", message))
        assert.deepStrictEqual(leaks([...sent, ...alerts, ...said], canaries), [])
      })
  )
})
