import { Context, Effect, Layer, type Scope } from "effect"
import type { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { EgressRules } from "../schema/EgressTarget.ts"
import type { AddressResolver } from "./AddressResolver.ts"
import type { Dialler } from "./Dialler.ts"
import * as Egress from "./Egress.ts"

/** Opens a way out with rules of its own, when somebody needs one: without that, nothing exists that could send. */
export class EgressDoor extends Context.Service<
  EgressDoor,
  {
    readonly open: (rules: EgressRules) => Effect.Effect<Egress.Egress["Service"], ConfigurationError, Scope.Scope>
  }
>()("effect-governance/services/EgressDoor") {}

/** Over a network that is only made when the first door opens. */
export const layerOver = <R>(network: Layer.Layer<Dialler | AddressResolver, ConfigurationError, R>) =>
  Layer.effect(
    EgressDoor,
    Effect.map(Effect.context<R>(), (context) =>
      EgressDoor.of({
        open: (rules) =>
          Effect.flatMap(Layer.build(network), (built) => Effect.provideContext(Egress.make(rules), built)).pipe(
            Effect.provideContext(context)
          )
      })
    )
  )
