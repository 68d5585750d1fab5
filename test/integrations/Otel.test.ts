import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Option, Redacted, Tracer } from "effect"
import { AgentScope, Audit, Cost, Governor, governed, Presence } from "../../src/index.ts"
import * as Otel from "../../src/integrations/Otel.ts"
import * as Memory from "../../src/layers/Memory.ts"
import { leaks } from "../../src/testing/Canaries.ts"
import { kinds, randomOf } from "../schema/SecretKinds.ts"
import { type Collector, collector } from "./Collector.ts"

const here = (url: string, options: Partial<Parameters<typeof Otel.layer>[0]> = {}) =>
  Otel.layer({ baseUrl: url, interval: "20 millis", ...options }).pipe(Layer.provideMerge(Memory.layer()))

/** Waits, in real time, until the collector has seen what is asked for. */
const until = (met: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 300 && !met(); i++) yield* Effect.sleep("20 millis")
    assert.isTrue(met(), "in six seconds it did not come")
  })

const allow = Effect.gen(function* () {
  yield* (yield* AgentScope.AgentScope).register({ agentId: "clerk", allowedTools: ["refund"], allowedApis: ["crm"] })
  yield* (yield* Cost.Cost).register({ agentId: "clerk", perAgentUsdDaily: "10.00" })
})
const refund = governed({
  agentId: "clerk",
  sessionId: "order-7",
  tool: "refund",
  input: { usd: "1.00" },
  maxUsd: "0.50"
})
const ask = Effect.flatMap(Governor.Governor, (governor) =>
  governor.run(
    { agentId: "clerk", sessionId: "order-7", model: "gpt-4o", provider: "openai", input: "hello", maxTokens: 100 },
    (ticket) =>
      Effect.as(
        ticket.report({
          provider: "openai",
          usage: {
            model: "gpt-4o-2024-08-06",
            inputTokens: 812,
            outputTokens: 96,
            cachedInputTokens: 500,
            reasoningTokens: 20
          }
        }),
        "hi"
      )
  )
)
const named = (received: Collector, name: string) => received.spans().find((span) => span.name === name)

describe("Otel.layer", () => {
  it.live("a call of a model is one span with the names of the GenAI conventions, usage and cost (OTL-01)", () =>
    Effect.gen(function* () {
      const received = yield* collector()
      yield* Effect.andThen(allow, ask).pipe(Effect.provide(here(received.url, { serviceName: "shop" })))
      const span = named(received, "chat gpt-4o")
      assert.strictEqual(received.resource()["service.name"], "shop")
      const { attributes = {}, end = 0n, events = [], kind, start = 1n, status } = span ?? {}
      assert.strictEqual(kind, 3)
      assert.strictEqual(status?.code, 1)
      assert.isTrue(end >= start)
      assert.deepStrictEqual(
        events.map(({ name }) => name),
        ["llm.call", "llm.result"]
      )
      const {
        "governance.call.id": call,
        "governance.event.id": id,
        "governance.event.parent": parent,
        ...rest
      } = attributes
      for (const uuid of [call, id, parent]) assert.match(String(uuid), /^[0-9a-f-]{36}$/)
      assert.strictEqual(events[0]?.attributes["governance.event.id"], parent)
      assert.isAbove(Number(rest["governance.cost.usd"]), 0)
      assert.deepStrictEqual(
        { ...rest, "governance.cost.usd": 0 },
        {
          "gen_ai.operation.name": "chat",
          "gen_ai.provider.name": "openai",
          "gen_ai.request.model": "gpt-4o",
          "gen_ai.response.model": "gpt-4o-2024-08-06",
          "gen_ai.usage.input_tokens": 812,
          "gen_ai.usage.output_tokens": 96,
          "gen_ai.usage.cache_read.input_tokens": 500,
          "gen_ai.usage.reasoning.output_tokens": 20,
          "gen_ai.agent.id": "clerk",
          "gen_ai.conversation.id": "order-7",
          "governance.event.kind": "llm.result",
          "governance.event.seq": 2,
          "governance.decision": "allowed",
          "governance.result": "completed",
          "governance.cost.usd": 0,
          "governance.tokens": 908
        }
      )
    })
  )

  it.live("calls of tools, refusals and failures say what happened (OTL-01)", () =>
    Effect.gen(function* () {
      const received = yield* collector()
      yield* Effect.gen(function* () {
        yield* allow
        yield* refund(Effect.void)
        yield* Effect.flip(governed({ agentId: "clerk", tool: "delete" })(Effect.void))
        yield* Effect.flip(governed({ agentId: "clerk", api: "crm" })(Effect.fail(new Error("secret words"))))
      }).pipe(Effect.provide(here(received.url)))
      const done = named(received, "execute_tool refund")?.attributes ?? {}
      assert.strictEqual(done["gen_ai.tool.name"], "refund")
      assert.strictEqual(done["gen_ai.tool.type"], "function")
      assert.strictEqual(done["governance.cost.usd"], 0.5)
      const refused = named(received, "execute_tool delete")
      assert.strictEqual(refused?.status.code, 2)
      assert.strictEqual(refused?.attributes["error.type"], "ScopeViolation")
      assert.strictEqual(refused?.attributes["governance.decision"], "refused")
      const failed = named(received, "api crm")
      assert.strictEqual(failed?.status.code, 2)
      assert.strictEqual(failed?.attributes["governance.result"], "failed")
      assert.strictEqual(failed?.attributes["governance.api.name"], "crm")
      assert.isUndefined(failed?.attributes["gen_ai.operation.name"])
      assert.notInclude(received.bodies.join(), "secret words")
      assert.notInclude(received.bodies.join(), ".ts:")
    })
  )

  it.live("what people decide, and what is written in transactions, arrives too, once (OTL-01)", () =>
    Effect.gen(function* () {
      const received = yield* collector()
      yield* Effect.gen(function* () {
        yield* allow
        const presence = yield* Presence.Presence
        // The reader of the log begins with the present.
        yield* Effect.sleep("300 millis")
        yield* presence.halt("clerk", { by: "rita", reason: "looks wrong" })
        yield* until(() => named(received, "agent.halted") !== undefined)
      }).pipe(Effect.provide(here(received.url)))
      const halted = received.spans().filter(({ name }) => name === "agent.halted")
      assert.strictEqual(halted.length, 1)
      assert.strictEqual(halted[0]?.attributes["governance.decision"], "halted")
      assert.strictEqual(halted[0]?.attributes["governance.reason"], "looks wrong")
    })
  )

  it.live("a call that has not ended when the program does is told by its attempt (OTL-01)", () =>
    Effect.gen(function* () {
      const received = yield* collector()
      yield* Effect.gen(function* () {
        const audit = yield* Audit.Audit
        yield* audit.log({ kind: "tool.call", agentId: "clerk", metadata: { name: "refund" } })
        yield* audit.log({ kind: "shop.opened", agentId: "clerk", metadata: { door: 3 } })
      }).pipe(Effect.provide(here(received.url)))
      assert.deepStrictEqual(
        received
          .spans()
          .map(({ events, name }) => [name, events.length])
          .sort(),
        [
          ["execute_tool refund", 1],
          ["shop.opened", 1]
        ]
      )
    })
  )

  it.live("metadata leaves only when that is asked for, and then without secrets (OTL-02)", () =>
    Effect.gen(function* () {
      const received = yield* collector()
      const log = Effect.flatMap(Audit.Audit, (audit) =>
        audit.log({
          kind: "shop.sold",
          agentId: "clerk",
          metadata: { item: "canary-visible", password: "canary-password", iban: "canary-iban" }
        })
      )
      yield* Effect.provide(log, here(received.url))
      assert.notInclude(received.bodies.join(), "canary")
      yield* Effect.provide(log, here(received.url, { includeMetadata: true, redactKeys: ["IBAN"] }))
      assert.include(received.bodies.join(), "canary-visible")
      assert.notInclude(received.bodies.join(), "canary-password")
      assert.notInclude(received.bodies.join(), "canary-iban")
    })
  )

  it.live(
    "canaries in every field that a caller controls do not leave, whatever kind they are (OTL-02, G11, K-12)",
    () =>
      Effect.gen(function* () {
        const received = yield* collector()
        const canaries: Record<string, string> = {}
        yield* Effect.gen(function* () {
          const audit = yield* Audit.Audit
          for (const [k, kind] of kinds.entries()) {
            // Identifiers are one line of at most 128 characters: what is longer travels in the metadata alone.
            const planted = (field: string) => {
              const { secret, text } = kind.make(randomOf(1 + k * 100 + field.length))
              canaries[`${kind.name} in ${field}`] = secret
              return text
            }
            const short = (field: string, fallback: string) => {
              const { secret, text } = kind.make(randomOf(1 + k * 100 + field.length))
              if (text.length > 120 || text.includes("\n")) return fallback
              canaries[`${kind.name} in ${field}`] = secret
              return text
            }
            yield* audit.log({
              kind: k % 2 === 0 ? "tool.result" : short("kind of the event", "shop.sold"),
              agentId: short("agent", "clerk"),
              sessionId: short("the session", "order-7"),
              model: short("model name", "gpt-4o"),
              metadata: {
                name: planted("tool"),
                error: planted("error text"),
                refused: planted("refused"),
                reason: planted("the reason"),
                result: planted("a result"),
                model: planted("reply's model"),
                provider: planted("provider"),
                ticket: planted("the ticket no"),
                request: planted("request no. 1"),
                action: planted("the action done"),
                usage: { inputTokens: planted("usage, input tokens") },
                prompt: { name: planted("prompt's name"), version: planted("prompt's version") },
                [planted("name of a member")]: { deep: [{ note: planted("a deep note") }] }
              }
            })
          }
        }).pipe(Effect.provide(here(received.url, { includeMetadata: true })))
        assert.isAtLeast(received.spans().length, kinds.length)
        assert.isAtLeast(Object.keys(canaries).length, 700)
        const bytes = new TextEncoder().encode(received.bodies.join("\n"))
        const found = leaks([{ name: "OTLP", bytes }], canaries)
        // Random words without a name may pass for one (1 in 100 at most, see Redaction.test.ts).
        assert.deepStrictEqual(
          found.filter(({ what }) => !what.includes("a random word")).map(({ what }) => what),
          []
        )
        assert.isAtMost(found.length / Object.keys(canaries).length, 0.01)
      })
  )

  it.live("headers go to the collector, and through no fetch but its own (OTL-01)", () =>
    Effect.gen(function* () {
      const received = yield* collector()
      const before = globalThis.fetch
      globalThis.fetch = () => Promise.reject(new Error("governed"))
      yield* allow.pipe(
        Effect.andThen(refund(Effect.void)),
        Effect.provide(here(received.url, { headers: { "x-tenant": Redacted.make("t-1") } })),
        Effect.ensuring(
          Effect.sync(() => {
            globalThis.fetch = before
          })
        )
      )
      assert.strictEqual(received.headers[0]?.["x-tenant"], "t-1")
      assert.isDefined(named(received, "execute_tool refund"))
    })
  )
})

describe("a collector in trouble", () => {
  for (const behave of ["hangs", "dies", "refuses", "is not there"] as const) {
    it.live(`that ${behave} neither slows nor breaks a governed call, nor the end of the program (OTL-01)`, () =>
      Effect.gen(function* () {
        const url = behave === "is not there" ? "http://127.0.0.1:9" : (yield* collector(behave)).url
        const [took] = yield* Effect.timed(
          Effect.gen(function* () {
            yield* allow
            const [calls] = yield* Effect.timed(
              Effect.forEach(Array.from({ length: 200 }), () =>
                Effect.andThen(refund0(Effect.succeed(1)), Effect.sleep(1))
              )
            )
            assert.isBelow(Duration.toMillis(calls), 4_000)
          }).pipe(Effect.provide(here(url, { shutdownTimeout: "500 millis" })))
        )
        // The hanging request is given up with the program; the exporter's own end may take its 3 seconds besides.
        assert.isBelow(Duration.toMillis(took), 9_000)
      })
    )
  }

  it.live("is said once in the log, without its address, and what waits is kept for later (OTL-01, CFG-32)", () =>
    Effect.gen(function* () {
      const received = yield* collector("refuses")
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => {
        lines.push(JSON.stringify(message))
      })
      yield* Effect.gen(function* () {
        const audit = yield* Audit.Audit
        yield* audit.log({ kind: "shop.sold", agentId: "clerk" })
        yield* until(() => lines.length > 0)
        yield* audit.log({ kind: "shop.sold", agentId: "clerk" })
        yield* Effect.sleep("200 millis")
        assert.strictEqual(received.requests(), 1)
      }).pipe(Effect.provide(here(received.url)), Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(lines, ['["otel.export_failed",{"problem":"the collector answered 403","dropped":0}]'])
    })
  )

  it.live("keeps a bounded number of rows, and one request under way (OTL-01)", () =>
    Effect.gen(function* () {
      const received = yield* collector("hangs")
      yield* Effect.gen(function* () {
        const audit = yield* Audit.Audit
        for (let i = 0; i < 3_000; i++) yield* audit.note({ kind: "shop.sold", agentId: `clerk-${i % 50}` })
        yield* Effect.sleep("200 millis")
        assert.strictEqual(received.requests(), 1)
      }).pipe(Effect.provide(here(received.url, { maxQueueSize: 100, shutdownTimeout: "300 millis" })))
    })
  )
})

describe("Otel.layerTracer", () => {
  it.live("gives the host's tracer the spans, under the span of the caller, and follows its sampling (OTL-01)", () =>
    Effect.gen(function* () {
      const told: Array<Told> = []
      const program = Effect.gen(function* () {
        yield* allow
        yield* Effect.withSpan(refund(Effect.void), "request")
        yield* Effect.withSpan(refund(Effect.void), "unsampled", { sampled: false })
      })
      const host = Layer.succeed(Tracer.Tracer, recording(told))
      yield* program.pipe(
        Effect.provide(
          Otel.layerTracer({ interval: "10 millis" }).pipe(Layer.provideMerge(Memory.layer()), Layer.provideMerge(host))
        )
      )
      const request = told.find(({ name }) => name === "request")
      const calls = told.filter(({ name }) => name === "execute_tool refund")
      assert.strictEqual(calls.length, 2)
      assert.strictEqual(calls[0]?.traceId, request?.traceId)
      assert.isTrue(Option.isSome(calls[0]!.parent))
      assert.deepStrictEqual(
        calls.map(({ sampled }) => sampled),
        [true, false]
      )
    })
  )

  it.live("a tracer that throws harms nobody (OTL-01)", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const broken = Tracer.make({
        span: (options) => {
          if (options.name.startsWith("execute_tool")) throw new Error("no")
          told.push(options.name)
          return new Seen(options)
        }
      })
      const program = Effect.gen(function* () {
        yield* allow
        const done = yield* refund(Effect.succeed("done"))
        yield* (yield* Audit.Audit).log({ kind: "shop.sold", agentId: "clerk" })
        return done
      })
      const result = yield* program.pipe(
        Effect.provide(
          Otel.layerTracer({ interval: "1 millis" }).pipe(
            Layer.provideMerge(Memory.layer()),
            Layer.provideMerge(Layer.succeed(Tracer.Tracer, broken))
          )
        )
      )
      assert.strictEqual(result, "done")
      assert.include(told, "shop.sold")
    })
  )
})

const refund0 = governed({ agentId: "clerk", sessionId: "order-7", tool: "refund" })

/** Not of the default tracer's kind: such spans are taken to be exported. */
class Seen implements Tracer.Span {
  readonly _tag = "Span"
  readonly attributes = new Map<string, unknown>()
  readonly traceId: string
  readonly spanId = Math.random().toString(16).slice(2, 18).padEnd(16, "0")
  readonly name: string
  readonly parent: Option.Option<Tracer.AnySpan>
  readonly annotations: Tracer.Span["annotations"]
  readonly links: Array<Tracer.SpanLink>
  readonly kind: Tracer.SpanKind
  readonly sampled: boolean
  status: Tracer.SpanStatus
  constructor(options: Parameters<Tracer.Tracer["span"]>[0]) {
    this.name = options.name
    this.parent = options.parent
    this.annotations = options.annotations
    this.links = options.links
    this.kind = options.kind
    this.sampled = options.sampled
    this.traceId = Option.match(options.parent, { onNone: () => `${Math.random()}`, onSome: ({ traceId }) => traceId })
    this.status = { _tag: "Started", startTime: options.startTime }
  }
  attribute(key: string, value: unknown) {
    this.attributes.set(key, value)
  }
  event() {}
  addLinks() {}
  end() {}
}
type Told = Seen
const recording = (told: Array<Told>) =>
  Tracer.make({
    span: (options) => {
      const span = new Seen(options)
      told.push(span)
      return span
    }
  })
