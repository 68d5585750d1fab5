import { Effect, Schema } from "effect"
import { AgentId } from "../schema/Ids.ts"
import { UngovernedCall } from "../schema/WrappedCallError.ts"
import { Audit } from "../services/Audit.ts"
import { Presence } from "../services/Presence.ts"
import { promise } from "./Host.ts"
import type { GovernOptions } from "./ModelCall.ts"
import type { Provider } from "./Provider.ts"

/** A client that asks for something whose cost nobody can bound. */
export interface Asker extends GovernOptions {
  readonly sessionId: string
  readonly provider: Pick<Provider, "name">
}

export interface Address {
  readonly method: string
  /** Without query. */
  readonly path: string
}

/**
 * Passes where the program has allowed the address by name and the agent is not halted; rejects with `UngovernedCall` elsewhere.
 * The log says either: what is allowed runs outside all budgets.
 */
export const passUngoverned = (asker: Asker, address: Address, signal: AbortSignal | null | undefined): Promise<void> =>
  promise(asker.governance, judged(asker, address), signal)

const judged = (asker: Asker, address: Address) =>
  Effect.gen(function* () {
    const allowed = isAllowed(asker, address)
    const { agentId, provider, sessionId } = asker
    const { method, path } = address
    if (allowed) {
      const presence = yield* Presence
      yield* presence.assertNotHalted(agentId).pipe(Effect.catchTag("ModuleDisabledError", () => Effect.void))
    }
    const metadata = { provider: provider.name, method, path: path.slice(0, 200), allowed }
    yield* (yield* Audit).note({ kind: "call.ungoverned", agentId, sessionId, metadata })
    if (!allowed) return yield* ungoverned(asker, address)
  })

/** The refusal itself, for addresses and factories whose cost nobody can bound (THR-05). */
export const ungoverned = (
  { agentId, provider }: Pick<Asker, "agentId" | "provider">,
  { method, path }: Address
): UngovernedCall =>
  new UngovernedCall({ agentId: Schema.decodeSync(AgentId)(agentId), provider: provider.name, method, path })

/** The program has said `POST /batches`: with whatever the base path of the API is before it. */
export const isAllowed = ({ allow }: Pick<GovernOptions, "allow">, { method, path }: Address): boolean =>
  (allow ?? []).some((name) => name.startsWith(`${method} `) && path.endsWith(name.slice(method.length + 1)))
