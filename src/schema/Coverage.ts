import { Schema } from "effect"

/** One process that runs governance, under a random id: a process id comes back, this does not (COV-02). */
export const InstanceId = Schema.String.check(Schema.isUUID()).pipe(Schema.brand("InstanceId"))
export type InstanceId = typeof InstanceId.Type

/** A kind of client that is wrapped in an instance, and how many of it were. */
export const WrapperRegistration = Schema.Struct({
  name: Schema.String,
  sdkVersion: Schema.NullOr(Schema.String),
  clients: Schema.Int
})
export type WrapperRegistration = typeof WrapperRegistration.Type

/** Calls to one host of language models, under the salted digest of its name. `calls` counts the governed ones too. */
export const HostCalls = Schema.Struct({ host: Schema.String, governed: Schema.Int, calls: Schema.Int })
export type HostCalls = typeof HostCalls.Type

/** What an instance says of itself. The counts only ever grow. */
export interface OwnCoverage {
  readonly instance: InstanceId
  /** The salted digest of the machine's name (COV-02). */
  readonly machine: string
  readonly wrappers: ReadonlyArray<WrapperRegistration>
  readonly governed: number
  readonly calls: number
  readonly hosts: ReadonlyArray<HostCalls>
}

/** What the registry knows of an instance; the times are the store's own. */
export interface CoverageInstance extends OwnCoverage {
  readonly startedAtMs: number
  readonly lastSeenMs: number
}

/** Why there is no number, or `ok`. Without a call to a known host nothing was measured, and that is not 100 %. */
export type CoverageReason = "ok" | "no_calls_seen" | "registry_disabled"

export interface CoverageFigure {
  /** From 0 to 1: wrapped calls among all calls to known hosts of language models (BEY-13). Null when nothing was seen. */
  readonly coveragePct: number | null
  readonly coveragePctReason: CoverageReason
  readonly governed: number
  readonly raw: number
}

/** What `governance coverage` and the console show (COV-03). */
export interface CoverageReport extends CoverageFigure {
  /** False: the registry did not answer, and this is this process alone. */
  readonly complete: boolean
  readonly instances: ReadonlyArray<CoverageInstance>
}

/** How long an instance that is not heard of stays in the registry (COV-02). */
export const registrationDays = 30
/** At most so many instances are listed, those seen last. */
export const maxInstances = 1000
/** So many hosts are counted one by one; the rest together. */
export const maxHosts = 256

/** The share of governed calls among those that were seen. */
export const figureOf = (parts: ReadonlyArray<Pick<OwnCoverage, "calls" | "governed">>): CoverageFigure => {
  const governed = parts.reduce((sum, part) => sum + part.governed, 0)
  const calls = parts.reduce((sum, part) => sum + part.calls, 0)
  return {
    coveragePct: calls === 0 ? null : governed / calls,
    coveragePctReason: calls > 0 ? "ok" : parts.length === 0 ? "registry_disabled" : "no_calls_seen",
    governed,
    raw: calls - governed
  }
}

/** The report over instances of the registry. */
export const reportOf = (instances: ReadonlyArray<CoverageInstance>, complete = true): CoverageReport => ({
  ...figureOf(instances),
  complete,
  instances
})

/** `83.3 %`, rounded down so that 100 % means all, or why there is no number. */
export const figureText = ({ coveragePct, coveragePctReason }: CoverageFigure): string =>
  coveragePct === null ? reasonWords[coveragePctReason] : `${Math.floor(coveragePct * 1000 + 1e-9) / 10} %`

const reasonWords: Readonly<Record<CoverageReason, string>> = {
  ok: "unknown",
  no_calls_seen: "unknown: no call to a known host of language models was seen",
  registry_disabled: "unknown: no program has run with enableCoverage"
}
