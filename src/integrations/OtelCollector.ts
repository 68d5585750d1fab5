import { Context, Duration, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { OtlpExporter, OtlpSerialization, OtlpTracer } from "effect/observability"

export interface CollectorOptions {
  /** Where the collector listens for OTLP over HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is appended. */
  readonly baseUrl: string
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted<string>>> | undefined
  /** Default `effect-governance`. */
  readonly serviceName?: string | undefined
  readonly serviceVersion?: string | undefined
  /** Attributes of the resource. Sent as they are: they are the operator's own. */
  readonly resource?: Readonly<Record<string, string | number | boolean>> | undefined
  /** How long a batch may take, attempts and pauses together; default 10 s. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * A tracer whose spans leave when `flush` is run, and only then: nothing piles up behind a collector that hangs. `flush` never
 * fails; it answers what went wrong.
 */
export const make = Effect.fnUntraced(function* (options: CollectorOptions) {
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "10 seconds")
  let problem: string | null = null
  const note = (now: string | null) =>
    Effect.sync(() => {
      problem = now
    })

  const plain = Context.get(yield* Layer.build(Layer.fresh(FetchHttpClient.layer)), HttpClient.HttpClient)
  const watched = plain.pipe(
    HttpClient.tap(({ status }) => note(status < 300 ? null : `the collector answered ${status}`)),
    HttpClient.tapError(() => note("the collector cannot be reached"))
  )
  const services = yield* Layer.build(
    Layer.mergeAll(Layer.fresh(OtlpExporter.layerFlusher), OtlpSerialization.layerJson)
  )
  const tracer = yield* OtlpTracer.make({
    url: `${options.baseUrl.replace(/\/+$/, "")}/v1/traces`,
    headers: Object.fromEntries(Object.entries(options.headers ?? {}).map(([name, value]) => [name, shown(value)])),
    resource: {
      serviceName: options.serviceName ?? "effect-governance",
      serviceVersion: options.serviceVersion,
      attributes: { ...options.resource }
    },
    exportInterval: never,
    maxBatchSize: Number.MAX_SAFE_INTEGER
  }).pipe(Effect.provideContext(Context.add(services, HttpClient.HttpClient, watched)))

  const flush = Effect.gen(function* () {
    problem = null
    const done = yield* Effect.timeoutOption(Context.get(services, OtlpExporter.Flusher).flush, timeout)
    return done._tag === "None" ? "the collector does not answer" : problem
  }).pipe(
    // The exporter's own fetch, whatever the host has put in its place, and no redirect: headers are for one address.
    Effect.provideService(FetchHttpClient.Fetch, ownFetch),
    Effect.provideService(FetchHttpClient.RequestInit, { redirect: "error" })
  )
  return { tracer, flush }
})

/** Nothing is exported by time; a timer cannot be set for longer than 24 days. */
const never = Duration.days(1)
const ownFetch = globalThis.fetch
const shown = (value: string | Redacted.Redacted<string>) =>
  Redacted.isRedacted(value) ? Redacted.value(value) : value
