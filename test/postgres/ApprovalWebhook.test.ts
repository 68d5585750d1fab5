import { createServer } from "node:http"
import { assert, describe, it, layer } from "@effect/vitest"
import { type Context, Effect, Exit, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { Webhook } from "standardwebhooks"
import * as Memory from "../../src/layers/Memory.ts"
import * as Postgres from "../../src/layers/Postgres.ts"
import { Audit } from "../../src/services/Audit.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { listening } from "../egress/Listening.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"

const secret = `whsec_${Buffer.from("0123456789abcdefghijklmn").toString("base64")}`
const metadata = {
  request: "018f6a3e-0000-7000-8000-000000000001",
  action: "refund",
  actionHash: "ab".repeat(32),
  expiresAt: "2026-01-01T00:00:00.000Z",
  approvals: 1,
  payload: "stays here"
}

/** A receiver on loopback that verifies what it is sent; `refusing` answers 503. */
const receiver = Effect.gen(function* () {
  const state = { heard: [] as string[], types: [] as string[], refusing: false }
  const port = yield* listening(
    createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8").on("data", (chunk) => {
        body += chunk
      })
      request.on("end", () => {
        if (state.refusing) return response.writeHead(503).end()
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)])
        )
        const notice = new Webhook(secret).verify(body, headers) as { type: string; data: object }
        assert.notProperty(notice.data, "payload")
        state.heard.push(headers["webhook-id"]!)
        state.types.push(notice.type)
        return response.end()
      })
    })
  )
  const options: GovernanceOptions = {
    testMode: true,
    warnOnNoWrappers: false,
    egress: { trustedHosts: [`localhost:${port}`] },
    approvalWebhooks: [{ url: `http://localhost:${port}/hook`, secret }]
  }
  return { state, options }
})

const log = (context: Context.Context<Audit>, agentId: string, kind = "approval.requested") =>
  Effect.map(
    Effect.provide(
      Audit.use((audit) => audit.log({ kind, agentId, metadata })),
      context
    ),
    ({ id }) => id
  )

const until = <E, R>(is: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (let i = 0; i < 2_000; i++) {
      if (yield* is) return
      yield* Effect.sleep(10)
    }
    assert.fail("never happened")
  })

describe("Approval webhooks in memory", () => {
  it.live("the layer tells a real receiver over loopback (BEY-10)", () =>
    Effect.gen(function* () {
      const { options, state } = yield* receiver
      const process = yield* Layer.build(Memory.layer(options))
      const id = yield* log(process, "clerk")
      yield* until(Effect.sync(() => state.heard.length > 0))
      assert.deepStrictEqual([state.heard, state.types], [[id], ["approval.requested"]])
    }).pipe(Effect.scoped)
  )
})

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })("Approval webhooks on Postgres", (it) => {
  it.effect(
    "two processes tell of each event once; the end of one, with a receiver that is down, loses nothing (BEY-10, B-20)",
    () =>
      Effect.gen(function* () {
        const { options, state } = yield* receiver
        const { appUrl } = yield* TestDatabase
        const all = { ...options, databaseUrl: appUrl, auditSecret: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU" }
        const start = Effect.fnUntraced(function* () {
          const scope = yield* Scope.make()
          const context = yield* Layer.buildWithScope(Layer.fresh(Postgres.layer(all)), scope)
          return { context, stop: Scope.close(scope, Exit.void) }
        })
        const [one, two] = [yield* start(), yield* start()]
        const sql = yield* SqlClient.SqlClient
        yield* until(Effect.map(sql`SELECT 1 FROM governance_readers WHERE begun`, (rows) => rows.length === 1))
        const ids: Array<string> = []
        for (let i = 0; i < 20; i++) ids.push(yield* log(i % 2 === 0 ? one.context : two.context, `agent-${i % 5}`))
        yield* until(Effect.sync(() => state.heard.length >= ids.length))
        assert.deepStrictEqual([...state.heard].sort(), ids.sort())

        state.refusing = true
        const late = [yield* log(one.context, "late"), yield* log(two.context, "later", "approval.expired")]
        yield* one.stop
        state.refusing = false
        yield* until(Effect.sync(() => late.every((id) => state.heard.includes(id))))
        yield* two.stop
        // Only what was under way when the first process ended may come twice.
        assert.isAtMost(state.heard.length - new Set(state.heard).size, late.length)
      }).pipe(Effect.scoped, Effect.provide(layerSql("app")))
  )
})
