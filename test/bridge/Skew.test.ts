import { assert, describe, it, layer } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer } from "effect"
import { HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import { Database } from "../../src/layers/postgres/Database.ts"
import * as TenantAsk from "../../src/layers/postgres/TenantAsk.ts"
import { Audit } from "../../src/services/Audit.ts"
import { governed } from "../../src/services/Governor.ts"
import { cards, clerk, grant, pay } from "../gates/Gates.ts"
import { person, platform, send, tenant } from "../platform/Serving.ts"
import { customer, until } from "./Customer.ts"
import { scripted } from "./Platform.ts"
import { addsUp, bridged, settle, stats } from "./World.ts"

const dayMs = 86_400_000
const skews: ReadonlyArray<readonly [what: string, days: number]> = [
  ["a day behind", -1],
  ["a day ahead of", 1]
]

describe("a platform whose clock is wrong", () => {
  for (const [what, resolvedAt] of [
    ["a day ago", -dayMs],
    ["in a day", dayMs],
    ["at the beginning of time", -1_000 * dayMs],
    ["in the year 9999", Date.parse("9999-12-31T23:59:59.999Z") - 1_000 * dayMs]
  ] as const) {
    it.effect(
      `its decision counts although it says that it was made ${what}: the time here decides (B-25, FWD-12)`,
      () => {
        const to = scripted()
        return Effect.gen(function* () {
          yield* clerk()
          const call = yield* Effect.forkChild(Effect.succeed("paid").pipe(governed(pay())))
          yield* settle
          const [card] = [...to.gates.values()]
          to.resolve(card.request_id, {
            status: "granted",
            resolved_at: new Date(1_000 * dayMs + resolvedAt).toISOString(),
            action_hash: card.action_hash,
            decided_by: "rita@example.org"
          })
          yield* TestClock.adjust("5 seconds")
          assert.deepStrictEqual(yield* Fiber.await(call), Exit.succeed("paid"))
          const [granted] = yield* (yield* Audit).getEvents({ kinds: ["approval.granted"] })
          assert.isAtLeast(Date.parse(granted?.at ?? ""), 1_000 * dayMs)
          assert.isAtMost(Date.parse(granted?.at ?? ""), 1_000 * dayMs + 10_000)
        }).pipe(Effect.provide(bridged(to)), (self) => Effect.andThen(TestClock.setTime(1_000 * dayMs), self))
      }
    )
  }

  it.effect(
    "one that thinks a request has long expired is asked no more, and the request is decided here (B-25)",
    () => {
      const to = scripted()
      return Effect.gen(function* () {
        yield* clerk()
        const call = yield* Effect.forkChild(Effect.succeed("paid").pipe(governed(pay())))
        yield* settle
        const [card] = [...to.gates.values()]
        to.resolve(card.request_id, { status: "expired", resolved_at: card.expires_at })
        yield* TestClock.adjust("10 seconds")
        const { polls } = yield* stats
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* stats).polls, polls)
        assert.lengthOf(yield* cards, 1)
        yield* grant()
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.await(call), Exit.succeed("paid"))
        assert.deepInclude(yield* stats, { remoteDecisionsDropped: 0, localResolutionsSent: 1 })
      }).pipe(Effect.provide(bridged(to)))
    }
  )
})

/** A customer's process on a machine whose clock is off by that much. */
const customerWith = (skewMs: number, port: number, token: string) =>
  Effect.gen(function* () {
    const real = yield* Clock.Clock
    const skewed: Clock.Clock = Object.assign(Object.create(real), {
      currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() + skewMs,
      currentTimeMillis: Effect.map(real.currentTimeMillis, (ms) => ms + skewMs)
    })
    const context = yield* Layer.build(Layer.fresh(customer(port, token))).pipe(
      Effect.provideService(Clock.Clock, skewed)
    )
    return <A, E, R>(self: Effect.Effect<A, E, R>) =>
      self.pipe(Effect.provide(context), Effect.provideService(Clock.Clock, skewed))
  })

layer(platform, { excludeTestServices: true, timeout: "120 seconds" })("the real platform and a wrong clock", (it) => {
  for (const [what, days] of skews) {
    it.effect(`a deployment ${what} it: events arrive, at the time of the platform, and people decide (B-25)`, () =>
      Effect.gen(function* () {
        const { prefix } = yield* Database
        const ask = yield* TenantAsk.make("test")
        const { address } = yield* HttpServer.HttpServer
        const port = "port" in address ? address.port : 0
        const { token, workflow, workspace } = yield* tenant("team")
        const { cookie } = yield* person(workspace, "approver")
        const inside = yield* customerWith(days * dayMs, port, token)
        const fromMs = yield* Clock.currentTimeMillis
        yield* inside(
          Effect.gen(function* () {
            yield* clerk()
            const audit = yield* Audit
            for (let i = 0; i < 20; i++) yield* audit.log({ kind: "tool.call", agentId: "clerk", metadata: { i } })
            const before = yield* until(
              "sent",
              Effect.map(stats, (counted) => counted.sent === counted.enqueued && counted.sent >= 20 && counted)
            )
            addsUp(before)
            assert.deepInclude(before, { seqHealed: 0, dropped4xx: 0, disabled: false })
          })
        )
        const rows = yield* ask(
          "events",
          `SELECT received_ms, created_at FROM ${prefix}governance_events WHERE workspace = $1 AND workflow = $2`,
          [workspace, workflow]
        )
        const toMs = yield* Clock.currentTimeMillis
        for (const [received, created] of rows) {
          assert.isAtLeast(Number(received), fromMs - 1_000)
          assert.isAtMost(Number(received), toMs + 1_000)
          assert.approximately(Date.parse(String(created)) - Number(received), days * dayMs, 60_000)
        }
        const call = yield* inside(Effect.forkChild(Effect.succeed("paid").pipe(governed(pay()))))
        if (days > 0) {
          const path = `/api/v1/workspaces/${workspace}`
          const card = yield* until(
            "a card",
            Effect.map(send("GET", `${path}/approvals?state=all`, { cookie }), ({ body }) =>
              Array.isArray(body) && body.length > 0 ? body[0] : null
            )
          )
          const said = yield* send("POST", `${path}/workflows/${workflow}/approvals/${card.request_id}/decision`, {
            cookie,
            body: { decision: "granted", action_hash: card.action_hash }
          })
          assert.strictEqual(said.status, 200, JSON.stringify(said.body))
        } else {
          // What has expired by the platform's clock nobody decides there; here it has not.
          yield* inside(
            until(
              "forwarded",
              Effect.map(stats, ({ gateForwardsSent }) => gateForwardsSent === 1)
            )
          )
          yield* inside(grant())
        }
        assert.deepStrictEqual(yield* Fiber.await(call), Exit.succeed("paid"))
        const after = yield* inside(stats)
        assert.deepInclude(after, { disabled: false, remoteDecisionsDropped: 0, gateForwardsDropped: 0, pollErrors: 0 })
      }).pipe(Effect.scoped)
    )
  }
})
