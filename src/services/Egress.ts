import { Clock, Config, Context, Duration, Effect, Layer, Option, Result, type Scope } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { EgressFailed, EgressRefused } from "../schema/EgressError.ts"
import { admitted, type EgressRules, type EgressTarget, hostAndPort, targetOf } from "../schema/EgressTarget.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { type IpAddress, parseIp, sameIp } from "../schema/IpAddress.ts"
import { parseRetryAfter } from "../schema/RetryAfter.ts"
import { AddressResolver } from "./AddressResolver.ts"
import { type Connection, type DialledRequest, Dialler, headerText } from "./Dialler.ts"
import { Settings } from "./Settings.ts"

export interface EgressRequest {
  readonly headers?: DialledRequest["headers"] | undefined
  /** At most 1 048 576 characters. */
  readonly body: string
  /** From the first question to the resolver to the last byte of the answer, default 10 s. */
  readonly timeout?: Duration.Duration | undefined
}

export interface EgressResponse {
  readonly status: number
  /** How long the other side asks us to wait, at most five minutes. */
  readonly retryAfter: Duration.Duration | null
  /** At most 64 KiB; not decompressed. */
  readonly body: string
}

/**
 * The only way out of this library to anything but the database: https to public hosts, one connection a request, to an
 * address that was checked. No proxy, no redirect, no second look at the name (BRG-13, WHK-04, B-01 to B-17).
 */
export class Egress extends Context.Service<
  Egress,
  {
    /** What the guard says of a URL before anything is resolved. For checks at start. */
    readonly check: (url: string | URL) => Effect.Effect<void, EgressRefused>
    /** Succeeds with every status but a redirect's. `InvalidInput` names a header or body that cannot be sent. */
    readonly post: (
      url: string | URL,
      request: EgressRequest
    ) => Effect.Effect<EgressResponse, EgressRefused | EgressFailed | InvalidInput>
    /** The same with the method GET. */
    readonly get: (
      url: string | URL,
      request: Omit<EgressRequest, "body">
    ) => Effect.Effect<EgressResponse, EgressRefused | EgressFailed | InvalidInput>
  }
>()("effect-governance/services/Egress") {}

export const make = Effect.fnUntraced(function* (rules: EgressRules) {
  yield* refuseInsecureTls
  const resolver = yield* AddressResolver
  const dialler = yield* Dialler

  const resolve = Effect.fnUntraced(function* (target: EgressTarget) {
    if (target.literal !== null) return [target.literal]
    const addresses = (yield* resolver.resolve(target.host)).map(parseIp)
    const known = addresses.filter((address) => address !== null)
    if (known.length === addresses.length && known.length > 0) return known
    return yield* new EgressFailed({ host: target.host, problem: "unresolved", code: null })
  })

  /** The next address only while nothing has been connected: a certificate that is wrong at one address is wrong. */
  const connect = (
    target: EgressTarget,
    [address, ...others]: ReadonlyArray<IpAddress>
  ): Effect.Effect<readonly [Connection, IpAddress], EgressFailed, Scope.Scope> =>
    Effect.map(dialler.connect(target, address!), (connection) => [connection, address!] as const).pipe(
      Effect.catchTag("EgressFailed", (error) =>
        error.problem === "connection" && others.length > 0 ? connect(target, others) : Effect.fail(error)
      )
    )

  const send = Effect.fnUntraced(function* (target: EgressTarget, request: DialledRequest) {
    const addresses = yield* Effect.fromResult(admitted(target, yield* resolve(target), rules))
    const [connection, address] = yield* connect(target, addresses.slice(0, maxDialled))
    const reached = parseIp(connection.remoteAddress)
    if (reached === null || !sameIp(reached, address)) {
      return yield* new EgressRefused({ host: target.host, rule: "other-address", range: null })
    }
    return yield* connection.post(request)
  }, Effect.scoped)

  const ask = Effect.fnUntraced(function* (
    method: "GET" | "POST",
    url: string | URL,
    { body, headers = {}, timeout = defaultTimeout }: EgressRequest
  ) {
    const target = yield* Effect.fromResult(targetOf(url, rules))
    yield* checkSendable(headers, body)
    const request = { method, headers, body, maxBody: maxResponseBytes, maxHeader: maxHeaderBytes }
    const response = yield* Effect.timeoutOrElse(send(target, request), {
      duration: timeout,
      orElse: () => Effect.fail(new EgressFailed({ host: target.host, problem: "timeout", code: null }))
    })
    if (response.status >= 300 && response.status < 400) {
      return yield* new EgressFailed({ host: target.host, problem: "redirect", code: `${response.status}` })
    }
    const retryAfter = parseRetryAfter(response.retryAfter, yield* Clock.currentTimeMillis)
    return { status: response.status, retryAfter, body: response.body }
  })

  return Egress.of({
    check: (url) =>
      Effect.fromResult(
        Result.flatMap(targetOf(url, rules), (target) =>
          admitted(target, target.literal === null ? [] : [target.literal], rules)
        )
      ).pipe(Effect.asVoid),
    post: Effect.fn("Egress.post")((url, request) => ask("POST", url, request)),
    get: Effect.fn("Egress.get")((url, request) => ask("GET", url, { ...request, body: "" }))
  })
})

export const layerWith = (rules: EgressRules) => Layer.effect(Egress, make(rules))

/** With the `egress` settings: lists that are written wrongly fail it. */
export const layer = Layer.effect(
  Egress,
  Effect.gen(function* () {
    const { egress } = yield* Settings
    const trusted = yield* hosts("egress.trustedHosts", egress.trustedHosts)
    const allowed = egress.allowedHosts === null ? null : yield* hosts("egress.allowedHosts", egress.allowedHosts)
    return yield* make({ trusted, allowed, allowMetadata: egress.allowMetadata })
  })
)

const hosts = Effect.fnUntraced(function* (setting: string, entries: ReadonlyArray<string>) {
  const places = entries.map(hostAndPort)
  const known = places.filter((place) => place !== null)
  if (known.length === places.length) return new Set(known)
  return yield* new ConfigurationError({ setting, problem: "may hold plain `host` or `host:port` entries only" })
})

const defaultTimeout = Duration.seconds(10)
const maxResponseBytes = 64 * 1024
const maxHeaderBytes = 16 * 1024
const maxRequestLength = 1024 * 1024
/** A name with many addresses must not buy many connection attempts. */
const maxDialled = 4

/** Whoever starts the process with this wants certificates unchecked; we send nothing under such terms (B-10). */
const refuseInsecureTls = Config.option(Config.String("NODE_TLS_REJECT_UNAUTHORIZED")).pipe(
  Effect.orElseSucceed(() => Option.none<string>()),
  Effect.flatMap((value) =>
    Option.contains(value, "0")
      ? Effect.fail(
          new ConfigurationError({
            setting: "NODE_TLS_REJECT_UNAUTHORIZED",
            problem: "is 0, and nothing is sent over connections whose certificates are not checked"
          })
        )
      : Effect.void
  )
)

/** Framing belongs to the connection; a caller's header must not be able to change it (B-23). */
const reserved =
  /^(?:host|connection|content-length|transfer-encoding|expect|upgrade|te|trailer|proxy-.*|accept-encoding)$/i

const checkSendable = Effect.fnUntraced(function* (headers: DialledRequest["headers"], body: string) {
  if (body.length > maxRequestLength)
    return yield* new InvalidInput({ field: "body", problem: "is longer than 1 048 576 characters" })
  for (const [name, value] of Object.entries(headers)) {
    const shown = /^[\w-]{1,64}$/.test(name) ? `headers.${name}` : "headers"
    if (shown === "headers") return yield* new InvalidInput({ field: shown, problem: "holds a name that is none" })
    if (reserved.test(name)) return yield* new InvalidInput({ field: shown, problem: "is set by the connection" })
    if (!/^[\x20-\x7e]{0,8192}$/.test(headerText(value))) {
      return yield* new InvalidInput({ field: shown, problem: "may hold printable ASCII only" })
    }
  }
})
