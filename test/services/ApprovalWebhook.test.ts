import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Webhook } from "standardwebhooks"
import { noticeOf, noticeText } from "../../src/schema/ApprovalNotice.ts"
import type { AuditRecord } from "../../src/schema/AuditRecord.ts"
import * as ApprovalWebhook from "../../src/services/ApprovalWebhook.ts"
import { Audit } from "../../src/services/Audit.ts"
import { headerText } from "../../src/services/Dialler.ts"
import { Egress } from "../../src/services/Egress.ts"
import { governed } from "../../src/services/Governor.ts"
import * as Settings from "../../src/services/Settings.ts"
import { leaks } from "../../src/testing/Canaries.ts"
import { egressOn, makeNetwork, type Network } from "../egress/Fakes.ts"
import { capture, memory } from "./World.ts"

const secret = `whsec_${Buffer.from("0123456789abcdefghijklmn").toString("base64")}`
const url = "https://hooks.example/services/path-that-is-a-secret"
const request = "018f6a3e-0000-7000-8000-000000000001"
const actionHash = "ab".repeat(32)
const asked = { request, action: "refund", actionHash, expiresAt: "2026-01-01T00:00:00.000Z", approvals: 2 }

type Receivers = NonNullable<Settings.GovernanceOptions["approvalWebhooks"]>

/** The real courier over memory stores and a fake network; `closed` when the scope ends, as a process is. */
const courier = (network: Network, approvalWebhooks: Receivers = [{ url, secret }]) =>
  Layer.build(
    Layer.fresh(ApprovalWebhook.layer).pipe(
      Layer.provide([
        Layer.effect(Egress, egressOn(network)),
        Layer.effect(Settings.Settings, Settings.make({ approvalWebhooks }))
      ])
    )
  ).pipe(Effect.tap(() => TestClock.adjust("1 second")))

const log = (kind: string, metadata: object = asked, agentId = "clerk") =>
  Audit.use((audit) => audit.log({ kind, agentId, sessionId: "today", metadata }))
const events = (kind: string) => Audit.use((audit) => audit.getEvents({ kinds: [kind] }))
const bodies = (network: Network) => network.posted.map(({ request }) => JSON.parse(request.body))
const settle = TestClock.adjust("2 seconds")

const record = (metadata: unknown, kind = "approval.requested"): AuditRecord =>
  ({ kind, at: "2026-01-01T00:00:00.000Z", agentId: "clerk", metadata }) as unknown as AuditRecord

describe("ApprovalWebhook", () => {
  it.effect(
    "posts what happens to an approval, signed as Standard Webhooks are, with the event's id to tell repetitions by (BEY-10)",
    () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        yield* courier(network)
        const kinds = ["approval.requested", "approval.granted", "approval.denied", "approval.expired"]
        for (const kind of [...kinds, "approval.consumed", "tool.call"]) yield* log(kind)
        yield* settle
        const written = (yield* Effect.forEach(kinds, events)).flat()
        assert.deepStrictEqual(
          bodies(network),
          kinds.map((type, i) => ({ type, timestamp: written[i]!.at, data: { ...asked, agentId: "clerk" } }))
        )
        for (const [i, { request }] of network.posted.entries()) {
          const headers = Object.fromEntries(
            Object.entries(request.headers).map(([name, value]) => [name, headerText(value)])
          )
          assert.deepStrictEqual(new Webhook(secret).verify(request.body, headers), JSON.parse(request.body))
          assert.throws(() => new Webhook(secret).verify(`${request.body} `, headers))
          assert.strictEqual(headers["webhook-id"], written[i]!.id)
          assert.strictEqual(headers["content-type"], "application/json")
        }
      }).pipe(
        Effect.scoped,
        Effect.provide(memory()),
        // The library that verifies looks at the wall clock; everything else begins there as well.
        (self) => Effect.andThen(TestClock.setTime(Date.now()), self)
      )
  )

  it.effect(
    "sends nothing but the fields of its list: planted secrets stay here in every field and form (BEY-10, B-22, FWD-03)",
    () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        yield* courier(network)
        const names = [
          "payload",
          "reason",
          "token",
          "secret",
          "chain_key",
          "decision",
          "hmac",
          "approver",
          "input",
          "args"
        ]
        const canaries = Object.fromEntries(names.map((name) => [name, `canary-of-${name}-4711`]))
        const nested = { deep: [canaries], __proto__x: canaries }
        yield* log("approval.requested", { ...asked, ...canaries, nested, url: canaries })
        yield* log("approval.granted", {
          ...canaries,
          request: canaries,
          action: [canaries.token],
          actionHash: canaries.hmac
        })
        yield* log("approval.denied", {
          ...canaries,
          expiresAt: canaries.reason,
          approvals: canaries.payload,
          request: canaries.token
        })
        yield* settle
        assert.lengthOf(network.posted, 3)
        const bytes = (text: string) => new TextEncoder().encode(text)
        const sent = network.posted.map(({ authority, request }) => ({
          name: "request",
          bytes: bytes(JSON.stringify({ authority, headers: request.headers }) + request.body)
        }))
        assert.deepStrictEqual(leaks(sent, canaries), [])
        assert.isNotEmpty(leaks(sent, { control: actionHash }))
        assert.deepStrictEqual(
          bodies(network).map(({ data }) => data),
          [{ ...asked, agentId: "clerk" }, { agentId: "clerk" }, { agentId: "clerk" }]
        )
      }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.prop(
    "whatever an event holds, a notice has the listed keys only (B-22)",
    { metadata: Schema.Json },
    ({ metadata }) => {
      const known = ["request", "agentId", "action", "actionHash", "expiresAt", "approvals"]
      for (const given of [metadata, Object.fromEntries(known.map((name) => [name, metadata]))]) {
        const notice = JSON.parse(noticeText(noticeOf(record(given))!))
        assert.deepStrictEqual(Object.keys(notice), ["type", "timestamp", "data"])
        for (const [key, value] of Object.entries(notice.data)) {
          assert.include(known, key)
          assert.include(["string", "number"], typeof value)
        }
      }
    }
  )

  it("shows a tool name without terminal escapes, and none that is 10 MB long (T-13)", () => {
    const shown = (action: string) => noticeOf(record({ action }))?.data.action
    assert.strictEqual(shown("re\u001b[31mfund\u0000\r\n"), "refund")
    assert.isUndefined(shown("a".repeat(10_000_000)))
    assert.isNull(noticeOf(record(asked, "approval.token_rejected")))
    for (const metadata of [null, 1, "x", [asked]])
      assert.deepStrictEqual(noticeOf(record(metadata))?.data.request, undefined)
  })

  it.effect("asks again with growing pauses while the receiver is down, as late as it is asked to (B-18)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      const answers = ["connection", "timeout", 500, 503, 429] as const
      network.respond = (_, attempt) => {
        const answer = answers[attempt - 1] ?? 204
        return typeof answer === "string"
          ? answer
          : { status: answer, retryAfter: answer === 429 ? "120" : undefined, body: "" }
      }
      yield* courier(network)
      yield* log("approval.requested")
      yield* TestClock.adjust("30 seconds")
      assert.lengthOf(network.posted, 5)
      yield* TestClock.adjust("75 seconds")
      assert.lengthOf(network.posted, 5)
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(network.posted, 6)
      assert.lengthOf(new Set(network.posted.map(({ request }) => request.headers["webhook-id"])), 1)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(network.posted, 6)
      assert.isEmpty(yield* events("approval.notice_parked"))
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.effect("parks what the receiver refuses, in the log and on the console, and goes on with the rest (B-21)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      const lines = capture()
      network.respond = (_, attempt) =>
        attempt === 1
          ? { status: 400, retryAfter: undefined, body: "canary of the receiver" }
          : { status: 200, retryAfter: undefined, body: "" }
      yield* Effect.provide(courier(network), lines.layer)
      const poison = yield* log("approval.requested")
      yield* log("approval.requested", asked, "other")
      yield* settle
      assert.lengthOf(network.posted, 2)
      const [parked] = yield* events("approval.notice_parked")
      assert.deepStrictEqual([parked?.agentId, parked?.sessionId, parked?.parentEventId], ["clerk", "today", poison.id])
      assert.deepStrictEqual(parked?.metadata, {
        host: "hooks.example",
        type: "approval.requested",
        problem: "the receiver answered 400"
      })
      assert.lengthOf(lines.named("approval.notice_parked"), 1)
      const said = JSON.stringify(lines.lines)
      for (const hidden of ["path-that-is-a-secret", "canary", secret, actionHash]) assert.notInclude(said, hidden)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.effect("gives up on one notice after a quarter of an hour, and other chains never wait for it (B-21)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      network.respond = () => {
        const agent = JSON.parse(network.posted.at(-1)!.request.body).data.agentId
        return { status: agent === "poison" ? 500 : 200, retryAfter: undefined, body: "" }
      }
      yield* courier(network)
      const about = (agentId: string) =>
        Audit.use((audit) => audit.log({ kind: "approval.requested", agentId, metadata: asked }))
      yield* about("poison")
      yield* about("clerk")
      yield* settle
      yield* about("clerk")
      yield* settle
      const told = () => bodies(network).filter(({ data }) => data.agentId === "clerk").length
      assert.strictEqual(told(), 2)
      yield* TestClock.adjust("14 minutes")
      assert.isEmpty(yield* events("approval.notice_parked"))
      yield* TestClock.adjust("3 minutes")
      assert.lengthOf(yield* events("approval.notice_parked"), 1)
      const posted = network.posted.length
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(network.posted, posted)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.effect(
    "what was not delivered when a process ended is delivered by the next, unless it is a day old (BEY-10, B-20)",
    () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        network.respond = () => "connection"
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* courier(network)
            yield* log("approval.requested")
            yield* settle
            assert.isAbove(network.posted.length, 0)
          })
        )
        const before = network.posted.length
        yield* log("approval.granted")
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(network.posted, before)
        network.respond = () => ({ status: 200, retryAfter: undefined, body: "" })
        yield* Effect.scoped(courier(network))
        assert.deepStrictEqual(
          bodies(network)
            .slice(before)
            .map(({ type }) => type),
          ["approval.requested", "approval.granted"]
        )
        yield* log("approval.denied")
        yield* TestClock.adjust("25 hours")
        yield* log("approval.expired")
        yield* Effect.scoped(courier(network))
        assert.deepStrictEqual(
          bodies(network)
            .slice(before + 2)
            .map(({ type }) => type),
          ["approval.expired"]
        )
      }).pipe(Effect.provide(memory()))
  )

  it.effect("tells each receiver of its agents only, and one that is down holds up no other (BEY-10)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      network.respond = (host) =>
        host === "down.example" ? "timeout" : { status: 200, retryAfter: undefined, body: "" }
      yield* courier(network, [
        { url: "https://down.example/", secret },
        { url: "https://all.example/", secret },
        { url: "https://some.example/", secret, agents: ["clerk"] },
        { url: "https://some.example/", secret, agents: ["third", "fourth"] }
      ])
      for (const agentId of ["other", "clerk", "third"]) yield* log("approval.requested", asked, agentId)
      yield* settle
      const heard = network.posted
        .filter(({ host }) => host !== "down.example")
        .map(({ host, request }) => `${host} ${JSON.parse(request.body).data.agentId}`)
      assert.deepStrictEqual(heard.sort(), [
        "all.example clerk",
        "all.example other",
        "all.example third",
        "some.example clerk",
        "some.example third"
      ])
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.effect("a name that leads inside is refused, asked again, and never dialled (B-05, BRG-13)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      network.answers = () => ["10.0.0.1"]
      yield* courier(network)
      yield* log("approval.requested")
      yield* TestClock.adjust("20 minutes")
      assert.isAbove(network.resolved.length, 5)
      assert.isEmpty(network.dialled)
      const [parked] = yield* events("approval.notice_parked")
      assert.match(JSON.stringify(parked?.metadata), /private/)
    }).pipe(Effect.scoped, Effect.provide(memory()))
  )

  it.effect("a receiver that never answers delays no governed call (BRG-01, INV-1)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      network.wait = Effect.never
      yield* courier(network)
      yield* log("approval.requested")
      yield* settle
      const call = Effect.succeed("done").pipe(governed({ agentId: "caller", api: "GET https://api.example/" }))
      assert.strictEqual(yield* call, "done")
    }).pipe(Effect.scoped, Effect.provide(memory({ enableScope: false })))
  )

  const bad: ReadonlyArray<readonly [what: string, setting: string, receiver: Receivers[number]]> = [
    ["http", "approvalWebhooks[0].url", { url: "http://hooks.example/canary", secret }],
    ["a user in the URL", "approvalWebhooks[0].url", { url: "https://user:canary@hooks.example/", secret }],
    ["a private address", "approvalWebhooks[0].url", { url: "https://10.0.0.1/canary", secret }],
    ["no URL", "approvalWebhooks[0].url", { url: "canary", secret }],
    ["a metadata host", "approvalWebhooks[0].url", { url: "https://metadata.google.internal/canary", secret }],
    ["a short secret", "approvalWebhooks[0].secret", { url, secret: "whsec_Y2FuYXJ5" }],
    ["a secret that is no base64", "approvalWebhooks[0].secret", { url, secret: "canary canary canary canary canary" }],
    ["an empty secret", "approvalWebhooks[0].secret", { url, secret: Redacted.make("") }]
  ]
  for (const [what, setting, receiver] of bad) {
    it.effect(`does not start with ${what}, and shows neither URL nor secret (ENT-04, CFG-32)`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(courier(makeNetwork(), [receiver]))
        assert.strictEqual(error._tag, "ConfigurationError")
        assert.strictEqual(error.setting, setting)
        assert.notMatch(`${error.message} ${JSON.stringify(error)}`, /canary|Y2FuYXJ5/)
      }).pipe(Effect.scoped, Effect.provide(memory()), Effect.provide(Logger.layer([])))
    )
  }
})
