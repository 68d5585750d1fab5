import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { HttpServer } from "effect/http"
import { Database } from "../../src/layers/postgres/Database.ts"
import * as TenantAsk from "../../src/layers/postgres/TenantAsk.ts"
import { Audit } from "../../src/services/Audit.ts"
import { governed } from "../../src/services/Governor.ts"
import { clerk, grant, pay } from "../gates/Gates.ts"
import { person, platform, send, tenant } from "../platform/Serving.ts"
import { customer, until } from "./Customer.ts"
import { type Fault, faultyWay } from "./FaultyWay.ts"
import { addsUp, stats } from "./World.ts"

const portOf = Effect.map(HttpServer.HttpServer, ({ address }) => ("port" in address ? address.port : 0))
layer(platform, { excludeTestServices: true, timeout: "120 seconds" })("the bridge and the real platform", (it) => {
  it.effect(
    "events arrive once, in order, and a second process of the workflow counts for itself (BRG-05, PLT-03, PLT-11)",
    () =>
      Effect.gen(function* () {
        const port = yield* portOf
        const { token, workflow, workspace } = yield* tenant()
        const write = Effect.gen(function* () {
          const audit = yield* Audit
          for (let i = 0; i < 150; i++) yield* audit.log({ kind: "tool.call", agentId: "clerk", metadata: { i } })
          yield* until(
            "sent",
            Effect.map(stats, ({ sent }) => sent === 150)
          )
          const counted = yield* stats
          addsUp(counted)
          assert.deepInclude(counted, { seqHealed: 0, nextSeq: 151, dropped4xx: 0, dropped5xx: 0 })
        })
        yield* Effect.all(
          [1, 2].map(() => Effect.provide(write, Layer.fresh(customer(port, token)), { local: true })),
          { concurrency: 2 }
        )
        const { cookie } = yield* person(workspace, "viewer")
        const timeline = yield* send(
          "GET",
          `/api/v1/workspaces/${workspace}/workflows/${workflow}/timeline?limit=100`,
          { cookie }
        )
        assert.strictEqual(timeline.status, 200)
        assert.include(JSON.stringify(timeline.body), '"tool.call"')
      })
  )

  it.effect("the outbox sends the log whole, without a 409 (BEY-16, V8-01)", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      const { token } = yield* tenant()
      const process = customer(port, token, { outbox: true })
      yield* Effect.gen(function* () {
        const audit = yield* Audit
        yield* Effect.sleep("1500 millis")
        for (let i = 0; i < 200; i++) yield* audit.log({ kind: "tool.call", agentId: `a${i % 4}`, metadata: { i } })
        yield* until(
          "sent",
          Effect.map(stats, ({ sent }) => sent === 200)
        )
        const counted = yield* stats
        addsUp(counted)
        assert.deepInclude(counted, { seqHealed: 0, nextSeq: 201, skipped: 0 })
      }).pipe(Effect.provide(Layer.fresh(process), { local: true }))
    })
  )

  // With some that pass in between: five failures in a row are waited out for longer than a test should take.
  const faults: ReadonlyArray<Fault> = [
    "lost",
    { status: 503 },
    "none",
    "cut",
    { status: 429 },
    "none",
    "lost",
    { status: 502 },
    "none",
    { status: 409, body: { error: "seq_out_of_order", expected_seq: 3 } },
    "none",
    "lost",
    { status: 403 },
    "none",
    { status: 429 },
    { status: 500 },
    "none",
    "lost"
  ]
  it.effect(
    "the outbox over a way full of faults: every event arrives, none twice, whatever was lost (B-18, P-01, P-07, G12)",
    () =>
      Effect.gen(function* () {
        const { prefix } = yield* Database
        const ask = yield* TenantAsk.make("test")
        const { token, workflow, workspace } = yield* tenant()
        const script = faults.slice(0, 12)
        const way = yield* faultyWay(yield* portOf, script)
        yield* Effect.gen(function* () {
          const audit = yield* Audit
          yield* Effect.sleep("1500 millis")
          const ids = new Set<string>()
          for (let i = 0; i < 120 || (way.met.length < script.length && i < 600); i++) {
            ids.add((yield* audit.log({ kind: "tool.call", agentId: `a${i % 7}`, metadata: { i } })).id)
            yield* Effect.sleep(10)
          }
          yield* until(
            "sent",
            Effect.map(stats, ({ sent }) => sent === ids.size)
          )
          const counted = yield* stats
          addsUp(counted)
          assert.strictEqual(counted.skipped, 0)
          const rows = yield* ask(
            "events",
            `SELECT event FROM ${prefix}governance_events WHERE workspace = $1 AND workflow = $2`,
            [workspace, workflow]
          )
          assert.lengthOf(rows, ids.size)
          assert.deepStrictEqual(new Set(rows.map(([event]) => String(event))), ids)
          assert.isAtLeast(way.met.length, script.length)
        }).pipe(Effect.provide(Layer.fresh(customer(way.port, token, { outbox: true })), { local: true }))
      }).pipe(Effect.scoped)
  )

  it.effect(
    "the queue over the same way: what is counted as sent is there, and nothing is there twice (BRG-07, P-01)",
    () =>
      Effect.gen(function* () {
        const { prefix } = yield* Database
        const ask = yield* TenantAsk.make("test")
        const { token, workflow, workspace } = yield* tenant()
        const way = yield* faultyWay(
          yield* portOf,
          faults.filter((fault) => typeof fault === "string" || (fault.status !== 403 && fault.status !== 409))
        )
        yield* Effect.gen(function* () {
          const audit = yield* Audit
          for (let i = 0; i < 40; i++) {
            yield* audit.log({ kind: "tool.call", agentId: "clerk", metadata: { i } })
            yield* Effect.sleep(60)
          }
          yield* until(
            "settled",
            Effect.map(stats, ({ inFlight, queueDepth }) => inFlight + queueDepth === 0)
          )
          const counted = yield* stats
          addsUp(counted)
          const rows = yield* ask(
            "events",
            `SELECT event FROM ${prefix}governance_events WHERE workspace = $1 AND workflow = $2`,
            [workspace, workflow]
          )
          assert.strictEqual(new Set(rows.map(([event]) => String(event))).size, rows.length)
          // An answer that was lost leaves an event there which is counted as dropped here; never the other way round.
          assert.isAtLeast(rows.length, counted.sent)
          assert.isAbove(counted.sent, 5)
          assert.strictEqual(counted.droppedSeqConflict, 0)
        }).pipe(Effect.provide(Layer.fresh(customer(way.port, token)), { local: true }))
      }).pipe(Effect.scoped)
  )

  it.effect("a revoked token latches the bridge, and the host goes on (BRG-08, BRG-09, PLT-02)", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      yield* Effect.gen(function* () {
        const audit = yield* Audit
        yield* audit.log({ kind: "tool.call", agentId: "clerk" })
        yield* until(
          "latched",
          Effect.map(stats, ({ disabled }) => disabled)
        )
        assert.deepInclude(yield* stats, { disabledReason: "auth_failed", droppedDisabled: 1 })
        assert.strictEqual((yield* audit.log({ kind: "tool.call", agentId: "clerk" })).status, "stored")
      }).pipe(Effect.provide(Layer.fresh(customer(port, "wf_0123456789abcdefghijklmnop")), { local: true }))
    })
  )

  it.effect(
    "a person approves in the inbox and the call runs; what is decided here shows there (FWD-01, FWD-06, FWD-08, PLT-06)",
    () =>
      Effect.gen(function* () {
        const port = yield* portOf
        const { token, workflow, workspace } = yield* tenant("team")
        const { cookie, email } = yield* person(workspace, "approver")
        const cards = Effect.map(
          send("GET", `/api/v1/workspaces/${workspace}/approvals?state=all`, { cookie }),
          ({ body }) => (Array.isArray(body) ? body : [])
        )
        yield* Effect.gen(function* () {
          yield* clerk()
          const call = (usd: string) => Effect.succeed(`paid ${usd}`).pipe(governed(pay({ usd })))
          const first = yield* Effect.forkChild(call("5"))
          const card = yield* until(
            "a card",
            Effect.map(cards, ([one]) => one ?? null)
          )
          const decision = yield* send(
            "POST",
            `/api/v1/workspaces/${workspace}/workflows/${workflow}/approvals/${card.request_id}/decision`,
            { cookie, body: { decision: "granted", action_hash: card.action_hash } }
          )
          assert.strictEqual(decision.status, 200, JSON.stringify(decision.body))
          assert.deepStrictEqual(yield* Fiber.await(first), Exit.succeed("paid 5"))
          const [granted] = yield* (yield* Audit).getEvents({ kinds: ["approval.granted"] })
          assert.deepInclude(granted?.metadata as object, { by: `platform:${email}` })

          const second = yield* Effect.forkChild(call("6"))
          yield* until(
            "forwarded",
            Effect.map(stats, ({ gateForwardsSent }) => gateForwardsSent === 2)
          )
          yield* grant()
          assert.deepStrictEqual(yield* Fiber.await(second), Exit.succeed("paid 6"))
          yield* until(
            "told",
            Effect.map(stats, ({ localResolutionsSent }) => localResolutionsSent === 1)
          )
          const found = yield* cards
          assert.sameMembers(
            found.map(({ resolved_in, status }: { resolved_in: string; status: string }) => `${status} ${resolved_in}`),
            ["granted inbox", "granted sdk"]
          )
        }).pipe(Effect.provide(Layer.fresh(customer(port, token)), { local: true }))
      })
  )
})
