import { Clock, Effect, FileSystem, Layer, Redacted, Result } from "effect"
import { SqlClient } from "effect/sql"
import { defaultDirectory } from "../layers/JsonlFallback.ts"
import * as AdmissionStore from "../layers/postgres/AdmissionStore.ts"
import * as AuditStore from "../layers/postgres/AuditStore.ts"
import * as ChainKeyStore from "../layers/postgres/ChainKeyStore.ts"
import { examine as examineSchema } from "../layers/postgres/Doctor.ts"
import { toStoreError } from "../layers/postgres/SqlFailure.ts"
import * as Finding from "../schema/Finding.ts"
import { checkSecretStrength } from "../schema/Secret.ts"
import { AdmissionStore as Admissions } from "../services/AdmissionStore.ts"
import * as Audit from "../services/Audit.ts"
import * as AuditFallback from "../services/AuditFallback.ts"
import * as ChainKeys from "../services/ChainKeys.ts"
import * as Evidence from "../services/Evidence.ts"
import * as KeyFollower from "../services/KeyFollower.ts"
import * as Settings from "../services/Settings.ts"
import * as Sweep from "../services/Sweep.ts"
import { chainKeyFindings } from "./ChainKeyFindings.ts"
import { checkpointFinding } from "./CheckpointFinding.ts"
import { counted } from "./CliFailure.ts"
import { coverageFinding } from "./CoverageFinding.ts"
import type { EnvironmentError, Examination } from "./Environment.ts"
import * as Place from "./Place.ts"
import type { SharedFlags } from "./Root.ts"
import { saidBy } from "./Said.ts"
import { witnessFindings } from "./WitnessFinding.ts"

/** Looks at everything, in the order in which things depend on each other. What could not be asked any more is said. */
export const examine = Effect.fnUntraced(function* (flags: SharedFlags) {
  const findings: Array<Finding.Finding> = []
  const add = (...more: ReadonlyArray<Finding.Finding>) => Effect.sync(() => void findings.push(...more))
  yield* add(yield* configuration(flags))
  yield* add(yield* leftovers)
  const look = Effect.gen(function* () {
    const place = yield* Place.Place
    yield* add(...secretFindings(place))
    yield* add(...(yield* Effect.provide(inDatabase(place), Place.appClient(place), { local: true })))
    yield* add(...(yield* chainKeyFindings))
    yield* add(yield* orphans(place))
  })
  // A schema that cannot be brought to this version is looked at as it is: that is what one asks the doctor about.
  const place = Layer.catchTag(Place.layer(flags), "MigrationError", () => Place.layerBare(flags))
  const stoppedBy = yield* look.pipe(
    Effect.provide(place, { local: true }),
    Effect.as<EnvironmentError | null>(null),
    Effect.catch((error) => Effect.as(add(stop(error)), error))
  )
  return { findings, stoppedBy } satisfies Examination
})

/** Here the operator may read what the network or Postgres said: it is what tells a wrong port from a wrong password. */
const stop = (error: EnvironmentError): Finding.Finding => {
  if (error._tag !== "StoreError" || error.problem !== "unreachable")
    return Finding.fail("database", error.message, error.recoveryHint)
  const said = saidBy(error)
  return Finding.fail(
    "database",
    `does not let us in${said === undefined || said === error.message ? "" : ` (${said})`}`,
    "Check host, port, database, user and password of the URL, and that Postgres runs and accepts this machine."
  )
}

/** Whether the environment can be used at all; a program would not start otherwise. */
const configuration = (flags: SharedFlags) =>
  Settings.make({ schema: flags.schema }).pipe(
    Effect.as(Finding.ok("configuration", "every GOVERNANCE_ variable can be read")),
    Effect.catch((error) => Effect.succeed(Finding.fail("configuration", error.message, error.recoveryHint)))
  )

const secretFindings = (place: Place.Place["Service"]): ReadonlyArray<Finding.Finding> => {
  const check = "audit secret"
  if (place.auditSecret === null) {
    return [
      Finding.fail(
        check,
        "GOVERNANCE_AUDIT_SECRET is not set here: nothing can be written or proved",
        "Make one with `openssl rand -hex 32`, keep it in a secret store, and give the same to every process."
      )
    ]
  }
  return [
    Result.match(checkSecretStrength(Redacted.value(place.auditSecret)), {
      onFailure: (weak) => Finding.fail(check, weak.message, weak.recoveryHint),
      onSuccess: () =>
        Finding.ok(
          check,
          place.dataDir === null ? "long and random enough" : "kept beside the embedded data, readable by you alone"
        )
    })
  ]
}

const inDatabase = Effect.fnUntraced(function* (place: Place.Place["Service"]) {
  const name = yield* Place.schemaName(place.schema)
  const clock = yield* clockFinding
  const schema = yield* examineSchema(name)
  return [
    Finding.ok("database", place.dataDir === null ? "answers" : `embedded, in ${place.dataDir}`),
    ...schema,
    yield* checkpointFinding(place),
    ...(yield* witnessFindings(place)),
    yield* coverageFinding(place),
    clock
  ]
})

/** Half of the round trip may lie on either side of the answer: only what is beyond it is a difference of clocks. */
const clockFinding = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const before = yield* Clock.currentTimeMillis
  const [row] = yield* sql
    .unsafe("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text")
    .values.pipe(Effect.mapError(toStoreError("Database", "clock")))
  const after = yield* Clock.currentTimeMillis
  const away = Math.round(Math.abs(Number(row?.[0]) - (before + after) / 2) - (after - before) / 2)
  return away < 2_000
    ? Finding.ok("clock", "this machine and the database agree to within 2 s")
    : Finding.warn(
        "clock",
        `this machine and the database differ by ${Math.round(away / 1000)} s`,
        "Run NTP on both; times in the log come from the writers."
      )
})

/** Events that a process could not store and left on this machine's disk; a live process keeps its own there too. */
const leftovers = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const directory = defaultDirectory()
  const names = yield* Effect.orElseSucceed(files.readDirectory(directory), () => [])
  const spooled = names.filter((name) => /^audit\..+\.jsonl$/.test(name)).length
  return spooled === 0
    ? Finding.ok("fallback", "no event waits on this machine's disk")
    : Finding.warn(
        "fallback",
        `${counted(spooled, "file")} of events that are not in the database yet, in ${directory}`,
        "The next program that starts here with a fallback on disk hands them over. Do not delete them."
      )
})

const check = "open calls"

/** Calls of processes that died: with the secret at hand they are charged and recorded here and now, else counted (BEY-06). */
const orphans = (place: Place.Place["Service"]) =>
  (place.auditSecret === null ? counting(place) : sweeping(place, place.auditSecret)).pipe(
    Effect.orElseSucceed(() => Finding.warn(check, "could not be read", "Run `governance migrate`, then look again."))
  )

const sweeping = (place: Place.Place["Service"], secret: Redacted.Redacted<string>) =>
  Effect.map(
    Effect.provide(
      Sweep.Sweep.use((sweep) => sweep.run),
      sweepLayer(place, secret),
      { local: true }
    ),
    ({ orphaned, recovered }) =>
      orphaned + recovered === 0
        ? Finding.ok(check, "none was left behind by a process that died")
        : Finding.ok(
            check,
            `${counted(orphaned, "call")} of processes that died: charged what they held and recorded as call.orphaned; ${recovered} more were settled from their record`
          )
  )

const sweepLayer = (place: Place.Place["Service"], secret: Redacted.Redacted<string>) =>
  Sweep.layerOnDemand.pipe(
    Layer.provide(Evidence.layer),
    Layer.provide(Audit.layerWith()),
    Layer.provide(KeyFollower.layerReading),
    Layer.provide([AdmissionStore.layer, AuditStore.layer, ChainKeyStore.layer, AuditFallback.layerMemory]),
    Layer.provide(ChainKeys.layer({ secret, historic: place.otherSecrets, ephemeralAllowed: false })),
    Layer.provide(Place.database(place))
  )

const counting = (place: Place.Place["Service"]) => {
  const limit = 200
  return Admissions.use((store) => store.expired(limit)).pipe(
    Effect.provide(Layer.provide(AdmissionStore.layer, Place.database(place)), { local: true }),
    Effect.map(({ length }) =>
      length === 0
        ? Finding.ok(check, "none was left behind by a process that died")
        : Finding.warn(
            check,
            `${length === limit ? `${limit} or more calls` : counted(length, "call")} of processes that died`,
            "Set GOVERNANCE_AUDIT_SECRET and run this again: then they are charged and recorded."
          )
    )
  )
}
