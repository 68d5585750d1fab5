import { Context, type Effect } from "effect"
import type { EgressFailed } from "../schema/EgressError.ts"

/** Turns a name into addresses. Asked once for each request; whoever asks MUST check every answer (B-05). */
export class AddressResolver extends Context.Service<
  AddressResolver,
  {
    /** Every address of the host, of both families, as text; at least one, or `unresolved`. */
    readonly resolve: (host: string) => Effect.Effect<ReadonlyArray<string>, EgressFailed>
  }
>()("effect-governance/services/AddressResolver") {}
