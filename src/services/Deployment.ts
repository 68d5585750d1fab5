import { Effect } from "effect"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import type { StoreError } from "../schema/StoreError.ts"
import type { GateStore } from "./GateStore.ts"

/** What tokens and grants are good for: the configured name, else the database's own id (DEC-09). */
export const deploymentOf = (
  { deployment }: GovernanceConfig,
  store: GateStore["Service"]
): Effect.Effect<string, StoreError> => (deployment === null ? store.deploymentId : Effect.succeed(deployment))
