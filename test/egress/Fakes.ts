import { ConfigProvider, Effect, Layer } from "effect"
import { EgressFailed } from "../../src/schema/EgressError.ts"
import { hostAndPort } from "../../src/schema/EgressTarget.ts"
import { AddressResolver } from "../../src/services/AddressResolver.ts"
import { type DialledRequest, type DialledResponse, Dialler } from "../../src/services/Dialler.ts"
import * as Egress from "../../src/services/Egress.ts"

/** What a fake network was asked for, and what it says. */
export interface Network {
  readonly resolved: Array<string>
  readonly dialled: Array<string>
  readonly posted: Array<{ readonly host: string; readonly authority: string; readonly request: DialledRequest }>
  /** Answers of the resolver; asked with the number of the question. */
  answers: (host: string, question: number) => ReadonlyArray<string>
  connect: (address: string) => EgressFailed["problem"] | null
  /** Where a connection really ends. */
  reached: (address: string) => string
  respond: (host: string, attempt: number) => DialledResponse | EgressFailed["problem"]
  /** What the connection waits for before it answers. */
  wait: Effect.Effect<void>
}

export const makeNetwork = (): Network => ({
  resolved: [],
  dialled: [],
  posted: [],
  answers: () => ["8.8.8.8"],
  connect: () => null,
  reached: (address) => address,
  respond: () => ({ status: 200, retryAfter: undefined, body: "ok" }),
  wait: Effect.void
})

export const diallerOf = (network: Network) =>
  Dialler.of({
    connect: (target, { text }) =>
      Effect.suspend(() => {
        network.dialled.push(text)
        const problem = network.connect(text)
        if (problem !== null) return Effect.fail(new EgressFailed({ host: target.host, problem, code: null }))
        return Effect.succeed({
          remoteAddress: network.reached(text),
          post: (request: DialledRequest) =>
            Effect.andThen(
              network.wait,
              Effect.suspend(() => {
                network.posted.push({ host: target.host, authority: target.authority, request })
                const response = network.respond(target.host, network.posted.length)
                return typeof response === "string"
                  ? Effect.fail(new EgressFailed({ host: target.host, problem: response, code: null }))
                  : Effect.succeed(response)
              })
            )
        })
      })
  })

export const resolverOf = (network: Network) =>
  AddressResolver.of({
    resolve: (host) =>
      Effect.sync(() => {
        network.resolved.push(host)
        return network.answers(host, network.resolved.length)
      })
  })

export const networkLayer = (network: Network) =>
  Layer.merge(Layer.succeed(Dialler, diallerOf(network)), Layer.succeed(AddressResolver, resolverOf(network)))

interface Opened {
  readonly trusted?: ReadonlyArray<string>
  readonly allowed?: ReadonlyArray<string>
  readonly allowMetadata?: boolean
}

export const rulesOf = ({ allowMetadata = false, allowed, trusted = [] }: Opened = {}) => ({
  trusted: new Set(trusted.map((entry) => hostAndPort(entry)!)),
  allowed: allowed === undefined ? null : new Set(allowed.map((entry) => hostAndPort(entry)!)),
  allowMetadata
})

export const egressOn = (network: Network, opened: Opened = {}, env: Record<string, string> = {}) =>
  Egress.make(rulesOf(opened)).pipe(
    Effect.provide(networkLayer(network)),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )
