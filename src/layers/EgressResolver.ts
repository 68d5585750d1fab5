import { lookup } from "node:dns"
import { Effect, Layer } from "effect"
import { EgressFailed } from "../schema/EgressError.ts"
import { AddressResolver } from "../services/AddressResolver.ts"

/** The operating system's resolver, hosts file included: what everything else on this machine would be told. */
export const layer = Layer.succeed(
  AddressResolver,
  AddressResolver.of({
    resolve: (host) =>
      Effect.callback((resume) =>
        lookup(host, { all: true, order: "verbatim" }, (error, addresses) =>
          resume(
            error === null && addresses.length > 0
              ? Effect.succeed(addresses.map(({ address }) => address))
              : Effect.fail(new EgressFailed({ host, problem: "unresolved", code: error?.code ?? null }))
          )
        )
      )
  })
)
