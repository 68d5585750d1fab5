import * as NodeServices from "@effect/platform-node/NodeServices"
import { Config, Effect, FileSystem, Layer, Option, Redacted, Result } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import * as CheckpointKey from "../services/CheckpointKey.ts"
import { CheckpointSinks, type CheckpointWitness } from "../services/CheckpointSink.ts"
import * as RememberedCheckpoint from "../services/RememberedCheckpoint.ts"
import { Settings } from "../services/Settings.ts"
import * as CheckpointWitnesses from "./CheckpointWitnesses.ts"
import * as EgressDoor from "./EgressDoor.ts"
import * as FileCheckpointSink from "./FileCheckpointSink.ts"
import * as RememberedCheckpointFile from "./RememberedCheckpointFile.ts"

/** The key that a setting leads to: `file://PATH`, `env://NAME`, or what it is itself when a program gave it. */
export const signingKey = Effect.fnUntraced(function* (given: Redacted.Redacted<string> | null) {
  if (given === null) return null
  const value = Redacted.value(given).trim()
  return yield* Effect.fromResult(CheckpointKey.signingKeyOf(yield* resolved(value), setting))
})

const resolved = Effect.fnUntraced(function* (value: string) {
  if (value.startsWith("env://")) {
    const name = value.slice(6)
    const found = yield* Effect.orElseSucceed(Config.option(Config.Redacted(name)), () => Option.none())
    return Option.isSome(found)
      ? Redacted.value(found.value)
      : yield* wrong(`names the environment variable ${name}, which is not set`)
  }
  if (!value.startsWith("file://")) return value
  const files = yield* FileSystem.FileSystem
  const path = value.slice(7)
  const info = yield* Effect.mapError(files.stat(path), () => wrong(`names ${path}, which cannot be read`))
  if (info.type !== "File" || Number(info.size) > 10_000) return yield* wrong(`names ${path}, which is no key file`)
  if ((info.mode & 0o077) !== 0) return yield* wrong(`names ${path}, which others may read: run chmod 600`)
  return yield* Effect.mapError(files.readFileString(path), () => wrong(`names ${path}, which cannot be read`))
})

const setting = "GOVERNANCE_CHECKPOINT_KEY"
const wrong = (problem: string) => new ConfigurationError({ setting, problem })

/** Where a database is, without who asks it: what a checkpoint is remembered under. */
export const placeOf = ({ checkpointPlace, databaseUrl, schema }: GovernanceConfig): string | null => {
  if (checkpointPlace !== null) return checkpointPlace
  if (databaseUrl === null) return null
  return Result.match(
    Result.try(() => new URL(Redacted.value(databaseUrl))),
    {
      onFailure: () => null,
      onSuccess: ({ host, pathname }) => `${host}${pathname}#${schema}`
    }
  )
}

const key = Layer.unwrap(
  Effect.map(
    Effect.flatMap(Settings, ({ checkpointKey }) => signingKey(checkpointKey)),
    CheckpointKey.layerOf
  )
)

const warning = Layer.effectDiscard(
  Effect.flatMap(Settings, ({ checkpointKey, enableAudit, testMode }) =>
    checkpointKey !== null || !enableAudit || testMode
      ? Effect.void
      : Effect.logWarning(
          `${setting} is not set: no checkpoints are made, so nobody can notice rows deleted from the end of the log or a restored backup`
        )
  )
)

/** The sinks that a program gave, the configured file, and the platform as a witness: it may not answer, so it is the last. */
const sinksWith = <E, R>(
  witnesses: (settings: GovernanceConfig) => Effect.Effect<ReadonlyArray<CheckpointWitness>, E, R>
) =>
  Layer.effect(
    CheckpointSinks,
    Effect.gen(function* () {
      const given = yield* CheckpointSinks
      const settings = yield* Settings
      const { checkpointFile } = settings
      const files = checkpointFile === null ? [] : [yield* FileCheckpointSink.make(checkpointFile)]
      return [...given, ...files, ...(yield* witnesses(settings))]
    })
  ).pipe(Layer.provide(Layer.merge(key, EgressDoor.layer)))

const memory = Layer.effect(
  RememberedCheckpoint.RememberedCheckpoint,
  Effect.gen(function* () {
    const settings = yield* Settings
    const place = placeOf(settings)
    if (place === null || (settings.testMode && settings.stateDir === null)) return RememberedCheckpoint.makeMemory()
    const directory = settings.stateDir ?? (yield* RememberedCheckpointFile.defaultStateDir)
    return yield* RememberedCheckpointFile.make(directory, place)
  })
)

/** Key, sinks and memory of checkpoints, as the configuration says. For commands, which are not the ones to make them. */
export const layerQuiet = Layer.mergeAll(key, sinksWith(CheckpointWitnesses.forCommands), memory).pipe(
  Layer.provide(NodeServices.layer)
)

/** The same for programs: without a key one warning says what cannot be noticed. */
export const layer = Layer.mergeAll(key, sinksWith(CheckpointWitnesses.forPrograms), memory, warning).pipe(
  Layer.provide(NodeServices.layer)
)

/** Beside a log that dies with the process: nothing is remembered, and without a key nothing is said. */
export const layerMemory = Layer.mergeAll(
  key,
  sinksWith(CheckpointWitnesses.forPrograms),
  RememberedCheckpoint.layerMemory
).pipe(Layer.provide(NodeServices.layer))
