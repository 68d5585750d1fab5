import { createHmac } from "node:crypto"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Result, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Webhook } from "standardwebhooks"
import { BudgetPolicy } from "../../src/schema/Cost.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { parsePolicyFile } from "../../src/schema/PolicyFileText.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import * as BudgetAlerts from "../../src/services/BudgetAlerts.ts"
import { Cost } from "../../src/services/Cost.ts"
import { CostStore } from "../../src/services/CostStore.ts"
import { headerText } from "../../src/services/Dialler.ts"
import { Egress } from "../../src/services/Egress.ts"
import { governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { Presence } from "../../src/services/Presence.ts"
import * as Settings from "../../src/services/Settings.ts"
import { egressOn, makeNetwork, type Network } from "../egress/Fakes.ts"
import { capture, cent, memory, usd } from "./World.ts"

const secret = `whsec_${Buffer.from("0123456789abcdefghijklmn").toString("base64")}`
const url = "https://hooks.example/services/path"
const env = { GOVERNANCE_ALERT_OPS: secret, GOVERNANCE_ALERT_URL: "https://hidden.example/canary-of-the-url" }
const alerting = { alertWebhookUrl: url, alertWebhookSecret: "env://GOVERNANCE_ALERT_OPS" }
const midnight = Date.parse("2026-11-21T00:00:00Z")

const withEnv = (variables: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: variables }))

/** The real service over memory stores and a fake network, until the scope ends, as a process does. */
const started = (network: Network, variables: Record<string, string> = env) =>
  Layer.build(Layer.fresh(BudgetAlerts.layer).pipe(Layer.provide(Layer.effect(Egress, egressOn(network))))).pipe(
    withEnv(variables),
    Effect.tap(() => settle)
  )

const settle = TestClock.adjust("6 seconds")
const events = (kind: string) => Audit.use((audit) => audit.getEvents({ kinds: [kind] }))
const budget = (policy: object, agentId = "clerk") =>
  Cost.use((cost) => cost.register({ agentId, ...alerting, ...policy }))
const spend = (usd: number, agentId = "clerk", sessionId = "today") =>
  Effect.void.pipe(governed({ agentId, sessionId, tool: "pay", maxUsd: usd }), Effect.andThen(settle))
const bodies = (network: Network) => network.posted.map(({ request }) => JSON.parse(request.body))
const told = (network: Network) => bodies(network).map(({ agent_id, cap_id, used }) => `${agent_id} ${cap_id} ${used}`)

const worldFrom =
  (time: number) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    AgentScope.use((scope) =>
      Effect.forEach(["clerk", "boss", "intern"], (agentId) => scope.register({ agentId, allowedTools: ["*"] }))
    ).pipe(
      Effect.andThen(self),
      Effect.scoped,
      Effect.provide(memory()),
      // The library that verifies looks at the wall clock, and the day must not end on the way.
      (all) => Effect.andThen(TestClock.setTime(time), all)
    )
const world = worldFrom(midnight)

describe("BudgetAlerts", () => {
  it.effect("tells once when usage comes to 80 %, before anything is refused, and says nothing below (WHK-01)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      yield* started(network)
      yield* budget({ perAgentUsdDaily: 100 })
      yield* spend(79.99)
      assert.deepStrictEqual(told(network), [])
      yield* spend(0.01)
      assert.deepStrictEqual(told(network), ["clerk perAgentUsdDaily 80.00"])
      yield* spend(10)
      assert.isTrue(Result.isFailure(yield* Effect.result(spend(50))))
      assert.lengthOf(network.posted, 1)
      assert.lengthOf(yield* events("budget.alert_sent"), 1)
    }).pipe(world)
  )

  it.effect("posts canonical JSON of the documented schema, verifiable in both documented ways (WHK-02, OQ-13)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      yield* started(network)
      yield* budget({ perSessionUsd: "0.50", alertThresholdPct: 50 })
      yield* spend(0.3)
      const [sent] = network.posted
      const body = sent!.request.body
      const headers = Object.fromEntries(
        Object.entries(sent!.request.headers).map(([name, value]) => [name, headerText(value)])
      )
      assert.strictEqual(
        body,
        `{"agent_id":"clerk","cap_id":"perSessionUsd","limit":"0.50","schema":"governance.cost.budget_alert/v1",` +
          `"sent_at":"${JSON.parse(body).sent_at}","session_id":"today","threshold_pct":50,"unit":"usd","used":"0.30","utc_day":"2026-11-21"}`
      )
      const seconds = headers["x-governance-timestamp"]!
      const key = Buffer.from("0123456789abcdefghijklmn")
      const mac = createHmac("sha256", key).update(`${seconds}.${body}`).digest("hex")
      assert.strictEqual(headers["x-governance-signature"], `sha256=${mac}`)
      assert.isAtMost(Math.abs(Date.parse(JSON.parse(body).sent_at) / 1000 - Number(seconds)), 1)
      const now = Date.now()
      const again = new Webhook(secret).sign(headers["webhook-id"]!, new Date(Number(seconds) * 1000), body)
      assert.strictEqual(headers["webhook-signature"], again)
      assert.throws(() => new Webhook(secret).verify(`${body} `, { ...headers, "webhook-timestamp": `${now / 1000}` }))
      assert.strictEqual(headers["content-type"], "application/json")
    }).pipe(world)
  )

  it.effect("counts what is spent, not what open calls hold: a hold may still be given back (WHK-01)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      yield* started(network)
      yield* budget({ perAgentUsdDaily: 100 })
      const long = yield* Effect.forkChild(Effect.never.pipe(governed({ agentId: "clerk", tool: "long", maxUsd: 95 })))
      yield* settle
      yield* spend(1)
      assert.isAbove(Number((yield* Cost.use((cost) => cost.snapshot("clerk", null))).state.heldUsd), 0)
      assert.deepStrictEqual(told(network), [])
      yield* Fiber.interrupt(long)
      yield* settle
      assert.deepStrictEqual(told(network), ["clerk perAgentUsdDaily 96.00"])
    }).pipe(world)
  )

  it.effect("looks again for a settlement that comes after its outcome, up to three seconds (WHK-01)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      yield* started(network)
      yield* budget({ perAgentUsdDaily: 10 })
      const agentId = AgentId.make("clerk")
      const settled = CostStore.use((store) =>
        store.track({ id: "late", agentId, sessionId: null, model: null, usd: usd(900n * cent), tokens: 0n })
      )
      yield* Audit.use((audit) => audit.log({ kind: "tool.result", agentId, sessionId: "today" }))
      yield* TestClock.adjust("2 seconds")
      yield* settled
      assert.deepStrictEqual(told(network), [])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(told(network), ["clerk perAgentUsdDaily 9.00"])
    }).pipe(world)
  )

  it.effect("tells of every cap by itself, and of each agent, session and day once (WHK-03)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      yield* started(network)
      yield* budget({ perSessionUsd: 10, perAgentUsdDaily: 18 })
      yield* budget({ perAgentUsdDaily: 10 }, "boss")
      yield* spend(8, "clerk", "a")
      yield* spend(8, "clerk", "b")
      yield* spend(9, "boss")
      assert.deepStrictEqual(told(network), [
        "clerk perSessionUsd 8.00",
        "clerk perAgentUsdDaily 16.00",
        "boss perAgentUsdDaily 9.00"
      ])
      yield* TestClock.adjust("2 minutes")
      yield* spend(1, "clerk", "a")
      assert.lengthOf(network.posted, 3)
      yield* spend(9.5, "boss")
      yield* spend(8.5, "clerk", "c")
      assert.deepStrictEqual(told(network).slice(3), ["boss perAgentUsdDaily 9.50", "clerk perSessionUsd 8.50"])
      assert.deepStrictEqual(
        bodies(network).map(({ utc_day }) => utc_day),
        ["2026-11-21", "2026-11-21", "2026-11-21", "2026-11-22", "2026-11-22"]
      )
    }).pipe(worldFrom(Date.parse("2026-11-21T23:59:00Z")))
  )

  it.effect("tells of tokens and seconds in their own unit (CST-01)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      yield* started(network)
      yield* budget({ perSessionTokens: 1000, perSessionSeconds: 60, alertThresholdPct: 90 })
      yield* Cost.use((cost) => cost.track("clerk", "today", { tokens: 950, usd: 0 }))
      yield* TestClock.adjust("54 seconds")
      yield* Cost.use((cost) => cost.track("clerk", "today", { tokens: 1, usd: 0 }))
      yield* settle
      assert.deepStrictEqual(
        bodies(network).map(({ limit, unit, used }) => [unit, used, limit]),
        [
          ["tokens", "950", "1000"],
          ["seconds", "54", "60"]
        ]
      )
    }).pipe(world)
  )

  it.effect("tells the owner of the budget that a delegate spends from (BEY-09)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      yield* started(network)
      yield* budget({ perAgentUsdDaily: 10 }, "boss")
      yield* spend(0.1, "boss")
      yield* Presence.use((presence) => presence.delegate("boss", "intern"))
      yield* spend(9, "intern")
      assert.deepStrictEqual(told(network), ["boss perAgentUsdDaily 9.10"])
    }).pipe(world)
  )

  it.effect(
    "a restart on the same day sends no second alert, and tells of what happened in between (V8-05, WHK-03)",
    () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        yield* budget({ perAgentUsdDaily: 10, perSessionUsd: 100 })
        yield* Effect.scoped(Effect.andThen(started(network), spend(8)))
        assert.deepStrictEqual(told(network), ["clerk perAgentUsdDaily 8.00"])
        yield* budget({ perAgentUsdDaily: 10 }, "boss")
        yield* spend(8.5, "boss")
        assert.lengthOf(network.posted, 1)
        yield* Effect.scoped(Effect.andThen(started(network), spend(0.5)))
        assert.deepStrictEqual(told(network).slice(1), ["boss perAgentUsdDaily 8.50"])
      }).pipe(world)
  )

  it.effect("asks a receiver that fails once more, with the same id, then drops the alert and says so (WHK-04)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      const lines = capture()
      network.respond = () => ({ status: 500, retryAfter: undefined, body: "canary of the receiver" })
      yield* Effect.provide(started(network), lines.layer)
      yield* budget({ perAgentUsdDaily: 10 })
      yield* spend(9)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(network.posted, 2)
      assert.lengthOf(new Set(network.posted.map(({ request }) => request.headers["webhook-id"])), 1)
      const [row, ...more] = yield* events("budget.alert_dropped")
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual(row?.metadata, {
        cap: "perAgentUsdDaily",
        day: "2026-11-21",
        thresholdPct: 80,
        problem: "the receiver answered 500"
      })
      assert.lengthOf(lines.named("budget.alert_dropped"), 1)
      assert.notInclude(JSON.stringify(lines.lines), "canary")
      yield* spend(0.1)
      assert.lengthOf(network.posted, 2)
    }).pipe(world)
  )

  it.effect("one failure is nothing: the second attempt delivers (WHK-04)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      network.respond = (_, attempt) =>
        attempt === 1 ? "connection" : { status: 204, retryAfter: undefined, body: "" }
      yield* started(network)
      yield* budget({ perAgentUsdDaily: 10 })
      yield* spend(9)
      assert.lengthOf(network.posted, 2)
      assert.lengthOf(yield* events("budget.alert_sent"), 1)
      assert.lengthOf(yield* events("budget.alert_dropped"), 0)
    }).pipe(world)
  )

  for (const [what, address, answers, problem] of [
    ["a private address", "https://10.0.0.1/hook", undefined, /must not be connected to \(private/],
    ["a metadata host", "https://metadata.google.internal/computeMetadata", undefined, /metadata service/],
    ["a link-local address", "https://169.254.169.254/latest", undefined, /must not be connected to/],
    ["a name that leads inside", url, ["192.168.1.1"], /private/],
    ["plain http", "http://hooks.example/", undefined, /only https/]
  ] as const) {
    it.effect(`${what} is refused and never dialled (WHK-04)`, () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        if (answers !== undefined) network.answers = () => answers
        yield* started(network)
        yield* budget({ perAgentUsdDaily: 10, alertWebhookUrl: address })
        yield* spend(9)
        assert.deepStrictEqual([network.dialled, network.posted], [[], []])
        const [row] = yield* events("budget.alert_dropped")
        assert.match(JSON.stringify(row?.metadata), problem)
      }).pipe(world)
    )
  }

  it.effect("a redirect is not followed (WHK-04)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      network.respond = () => ({ status: 307, retryAfter: undefined, body: "" })
      yield* started(network)
      yield* budget({ perAgentUsdDaily: 10 })
      yield* spend(9)
      assert.deepStrictEqual([...new Set(network.posted.map(({ host }) => host))], ["hooks.example"])
      assert.match(JSON.stringify((yield* events("budget.alert_dropped"))[0]?.metadata), /redirects are not followed/)
    }).pipe(world)
  )

  it.effect("a receiver that never answers delays no call and no other agent's alert (WHK-01)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      network.wait = Effect.never
      yield* started(network)
      yield* budget({ perAgentUsdDaily: 10 })
      yield* budget({ perAgentUsdDaily: 10, alertWebhookUrl: "https://other.example/" }, "boss")
      const call = Effect.succeed("done").pipe(governed({ agentId: "clerk", sessionId: "s", tool: "pay", maxUsd: 0.5 }))
      // No time passes for these calls: the clock of the test stands still.
      for (let i = 0; i < 18; i++) assert.strictEqual(yield* call, "done")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* call, "done")
      network.wait = Effect.void
      yield* spend(9, "boss")
      assert.deepStrictEqual(told(network), ["boss perAgentUsdDaily 9.00"])
    }).pipe(world)
  )

  it.effect("the secret and a hidden URL are nowhere but in the environment (WHK-02)", () =>
    Effect.gen(function* () {
      const network = makeNetwork()
      const lines = capture()
      network.respond = () => "tls"
      yield* Effect.provide(started(network), lines.layer)
      yield* budget({ perAgentUsdDaily: 10, alertWebhookUrl: "env://GOVERNANCE_ALERT_URL" })
      yield* spend(9)
      assert.strictEqual(network.posted[0]?.host, "hidden.example")
      const rows = yield* Audit.use((audit) => audit.getEvents({}))
      const stored = yield* PolicyStore.use((store) => store.all)
      const inForce = yield* Policies.use((policies) => Effect.succeed(policies.get("clerk" as never, "budget")))
      const seen = [rows, stored, inForce, lines.lines].map((value) => `${inspect(value, { depth: 20 })}`).join()
      assert.include(seen, "env://GOVERNANCE_ALERT_OPS")
      for (const hidden of [secret, secret.slice(6), "0123456789abcdefghijklmn", "canary-of-the-url"]) {
        assert.notInclude(seen, hidden)
      }
    }).pipe(world)
  )

  for (const [what, variables] of [
    ["is not set", {}],
    ["must be `whsec_`", { GOVERNANCE_ALERT_OPS: "canary" }]
  ] as const) {
    it.effect(`a secret that ${what} drops the alert, and says which variable it is (WHK-04)`, () =>
      Effect.gen(function* () {
        const network = makeNetwork()
        yield* started(network, variables)
        yield* budget({ perAgentUsdDaily: 10 })
        yield* spend(9)
        assert.deepStrictEqual(network.resolved, [])
        const text = JSON.stringify((yield* events("budget.alert_dropped"))[0]?.metadata)
        assert.include(text, `GOVERNANCE_ALERT_OPS ${what}`)
        assert.notInclude(text, "canary")
      }).pipe(world)
    )
  }
})

describe("The alert of a budget policy", () => {
  const decode = Schema.decodeUnknownResult(BudgetPolicy)
  const refusalOf = (policy: object) => {
    const result = decode(policy, { onExcessProperty: "error", errors: "all" })
    return Result.isFailure(result) ? inspect(result.failure, { depth: 20 }) : ""
  }

  it("is no cap, needs both its addresses, and a percentage of 1 to 100 (CST-01)", () => {
    assert.include(refusalOf(alerting), "at least one cap")
    const { alertWebhookSecret, alertWebhookUrl } = alerting
    assert.include(refusalOf({ perSessionUsd: 1, alertWebhookUrl }), "need each other")
    assert.include(refusalOf({ perSessionUsd: 1, alertWebhookSecret }), "need each other")
    for (const alertThresholdPct of [0, 101, 80.5, -1]) {
      assert.notStrictEqual(refusalOf({ perSessionUsd: 1, ...alerting, alertThresholdPct }), "")
    }
    assert.strictEqual(refusalOf({ perSessionUsd: 1, ...alerting, alertThresholdPct: 100 }), "")
    assert.strictEqual(refusalOf({ perSessionUsd: 1, alertThresholdPct: 50 }), "")
  })

  it("never holds a secret, a file or another variable, and does not repeat what it refuses", () => {
    for (const alertWebhookSecret of [
      secret,
      "env://GOVERNANCE_AUDIT_SECRET",
      "env://OPENAI_API_KEY",
      "file:///etc/passwd",
      "env://GOVERNANCE_ALERT_lower",
      " env://GOVERNANCE_ALERT_OPS"
    ]) {
      const said = refusalOf({ perSessionUsd: 1, ...alerting, alertWebhookSecret })
      assert.include(said, "must be env://GOVERNANCE_ALERT_<NAME>")
      assert.notInclude(said, alertWebhookSecret)
      const file = JSON.stringify({
        agents: { clerk: { budget: { perSessionUsd: "1", ...alerting, alertWebhookSecret } } }
      })
      assert.notInclude(inspect(parsePolicyFile("p.json", file), { depth: 20 }), alertWebhookSecret)
    }
    for (const alertWebhookUrl of [
      "https://user:canary@hooks.example/",
      "canary",
      "ftp://canary/",
      "https://a/#canary"
    ]) {
      const said = refusalOf({ perSessionUsd: 1, ...alerting, alertWebhookUrl })
      assert.include(said, "must be a URL")
      assert.notInclude(said, "canary")
    }
  })
})

describe("costWebhooksEnabled", () => {
  const settings = (options: Settings.GovernanceOptions, variables: Record<string, string> = {}) =>
    Settings.make(options).pipe(withEnv(variables))

  it.effect("is off unless the option or the variable says otherwise, the option first (CFG-09)", () =>
    Effect.gen(function* () {
      assert.isFalse((yield* settings({})).costWebhooksEnabled)
      const variables = { GOVERNANCE_COST_WEBHOOKS_ENABLED: "true" }
      assert.isTrue((yield* settings({}, variables)).costWebhooksEnabled)
      assert.isFalse((yield* settings({ costWebhooksEnabled: false }, variables)).costWebhooksEnabled)
      for (const off of [{ enableAudit: false }, { enableCost: false }]) {
        const error = yield* Effect.flip(settings({ costWebhooksEnabled: true, ...off }))
        assert.strictEqual(error.setting, "costWebhooksEnabled")
      }
    })
  )
})
