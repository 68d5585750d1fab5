import { Effect } from "effect"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import type { CheckpointWitness } from "../services/CheckpointSink.ts"
import * as PlatformConnection from "../services/PlatformConnection.ts"
import * as WitnessSink from "./WitnessSink.ts"

type Given = Pick<GovernanceConfig, "egress" | "platform">

/** The witness that the settings name, if they name one: it takes the three settings of the bridge and its own. */
export const forPrograms = Effect.fnUntraced(function* (settings: Given) {
  if (!settings.platform.witness) return none
  const missing = missingFor(settings)
  if (missing !== null) {
    yield* Effect.logWarning("platform.witness_incomplete", { missing, effect: "no checkpoint is shown to anybody" })
    return none
  }
  const witness = yield* WitnessSink.make(settings)
  yield* announce(settings)
  return [witness]
})

/** The same for commands, most of which have other things to do: what cannot be used fails when it is used. */
export const forCommands = Effect.fnUntraced(function* (settings: Given) {
  return missingFor(settings) === null
    ? [yield* Effect.catchTag(WitnessSink.make(settings), "ConfigurationError", () => unusable(settings))]
    : none
})

const unusable = (settings: Given): Effect.Effect<CheckpointWitness> => Effect.succeed(WitnessSink.unusable(settings))

/** The first setting that is not there; null: the platform is a witness of this log. */
export const missingFor = ({ platform }: Pick<GovernanceConfig, "platform">): string | null =>
  !platform.witness
    ? "GOVERNANCE_PLATFORM_WITNESS"
    : !platform.bridgeEnabled
      ? "GOVERNANCE_PLATFORM_BRIDGE_ENABLED"
      : PlatformConnection.missing(platform)

const none: ReadonlyArray<CheckpointWitness> = []

/** Once a process, however often the layer is built in it (BRG-03). */
let announced = false
const announce = (settings: Given) =>
  Effect.suspend(() => {
    if (announced) return Effect.void
    announced = true
    const { origin } = new URL(settings.platform.ingestUrl ?? "")
    return Effect.logWarning("platform.witness_enabled", {
      url: origin,
      data_residency: `${origin}/data-residency`,
      effect: "checkpoints leave this process"
    })
  })
