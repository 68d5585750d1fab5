import { Duration, Effect, Layer, Option, Tracer } from "effect"
import { knownKinds } from "../schema/AuditEvent.ts"
import { recordOf } from "../schema/AuditReading.ts"
import { isCallKind } from "../schema/GenAiAttributes.ts"
import * as Redaction from "../schema/Redaction.ts"
import { Audit } from "../services/Audit.ts"
import * as LogReader from "../services/LogReader.ts"
import * as PooledRandom from "../services/PooledRandom.ts"
import * as Collector from "./OtelCollector.ts"
import * as Outbox from "./OtelOutbox.ts"
import * as Spans from "./OtelSpans.ts"

export interface OtelOptions {
  /** More names whose values are never sent, in any spelling (CFG-25). */
  readonly redactKeys?: ReadonlyArray<string> | undefined
  /** Adds `governance.metadata`: the row's metadata as JSON, redacted. Default false. */
  readonly includeMetadata?: boolean | undefined
  /** Rows that wait at most; the oldest go when a collector is too slow. Default 2048. */
  readonly maxQueueSize?: number | undefined
  /** How long a row waits for others before a batch is sent. Default 1 s. */
  readonly interval?: Duration.Input | undefined
  /** How long the end of the program waits for what has not been sent. Default 3 s. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** The name under which the processes of a deployment share the rows that belong to no call. Default `otel`. */
  readonly reader?: string | undefined
}

/**
 * Sends the audit log as spans to an OpenTelemetry collector, over an exporter and an HTTP client of its own (OTL-01). Whatever
 * happens to the collector, calls neither wait nor fail for it, and what waits is bounded.
 */
export const layer = (options: OtelOptions & Collector.CollectorOptions) =>
  Layer.effectDiscard(
    Effect.flatMap(Collector.make(options), ({ flush, tracer }) => follow(tracer, options, false, flush))
  ).pipe(Layer.provide(PooledRandom.layer))

/** The same to the `Tracer` that this layer is given: spans go wherever the host's own go, and follow its sampling (OTL-01). */
export const layerTracer = (options: OtelOptions = {}) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const tracer = yield* Tracer.Tracer
      if (tracer === Tracer.nativeTracer)
        yield* Effect.logWarning("otel.no_tracer", {
          recoveryHint: "Provide a Tracer to Otel.layerTracer, or use Otel.layer."
        })
      yield* follow(tracer, options, true, Effect.succeed(null))
    })
  ).pipe(Layer.provide(PooledRandom.layer))

const follow = Effect.fnUntraced(function* (
  tracer: Tracer.Tracer,
  options: OtelOptions,
  followSampling: boolean,
  flush: Effect.Effect<string | null>
) {
  const audit = yield* Audit
  const spans = Spans.make(tracer, {
    redactor: Redaction.make({ extraKeys: options.redactKeys }),
    withMetadata: options.includeMetadata ?? false,
    followSampling
  })
  let warnedMs = Number.NEGATIVE_INFINITY

  const warn = (problem: string) =>
    Effect.clockWith((clock) => {
      const nowMs = clock.currentTimeMillisUnsafe()
      if (nowMs - warnedMs < warnEveryMs) return Effect.void
      warnedMs = nowMs
      return Effect.logWarning("otel.export_failed", { problem, dropped: outbox.dropped() })
    })

  const outbox: Outbox.Outbox<Spans.Sighting | "rest"> = yield* Outbox.make<Spans.Sighting | "rest">({
    capacity: options.maxQueueSize ?? 2_048,
    batchSize: 512,
    interval: Duration.fromInputUnsafe(options.interval ?? "1 second"),
    patience: Duration.fromInputUnsafe(options.shutdownTimeout ?? "3 seconds"),
    last: () => ["rest"],
    deliver: (batch) =>
      Effect.gen(function* () {
        for (const sighting of batch) {
          // A tracer of the host's that throws is the host's own affair, and no reason to stop.
          yield* Effect.catchCause(
            Effect.sync(() => tellOne(spans, sighting)),
            (cause) => Effect.logDebug("otel.tracer_failed", cause)
          )
          // A row may be long: calls go on between any two.
          yield* Effect.yieldNow
        }
        const problem = yield* flush
        if (problem === null) return Duration.zero
        yield* warn(problem)
        return pauseAfterFailure
      })
  })

  // Rows of this process's own calls, under the spans of their callers ...
  yield* audit.subscribe((record) =>
    isDrained(record.kind)
      ? Effect.void
      : Effect.map(Effect.option(Effect.currentParentSpan), (parent) =>
          outbox.push({ record, parent: Spans.nearestExported(parent) })
        )
  )
  // ... and those that any process, or a command, may have written: each is shown to one process of all.
  yield* Effect.forkScoped(
    LogReader.drain({
      reader: options.reader ?? "otel",
      kinds: drained,
      handle: (row) => Effect.sync(() => outbox.push({ record: recordOf(row), parent: Option.none() }))
    }).pipe(
      // Looking every second must not itself become traces.
      Effect.withTracerEnabled(false)
    ),
    { startImmediately: true }
  )
})

const tellOne = (spans: ReturnType<typeof Spans.make>, sighting: Spans.Sighting | "rest"): void =>
  sighting === "rest" ? spans.tellRest() : spans.tell(sighting)

const drained: ReadonlySet<string> = new Set(knownKinds.filter((kind) => !isCallKind(kind)))
const isDrained = (kind: string): boolean => drained.has(kind)

/** The exporter takes nothing for a minute after a failure: until then rows had better wait here. */
const pauseAfterFailure = Duration.seconds(61)
const warnEveryMs = 10 * 60_000
