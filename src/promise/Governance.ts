import { Context, type Effect, Layer } from "effect"
import * as Bridge from "../bridge/Bridge.ts"
import type { Host, HostServices } from "../integrations/Host.ts"
import * as Memory from "../layers/Memory.ts"
import * as Postgres from "../layers/Postgres.ts"
import { Settings } from "../services/Settings.ts"
import * as Governed from "./Governed.ts"
import type { Logging } from "./Log.ts"
import * as Modules from "./Modules.ts"
import type { Configuration, Options } from "./Options.ts"
import { outward } from "./Outward.ts"
import { Running } from "./Running.ts"

export { sealed } from "../schema/Marked.ts"
export type * from "./AgentKeys.ts"
export type { Audit, AuditQuery, AuditRecord, ReportOptions, TrackOptions } from "./Audit.ts"
export type * from "./Call.ts"
export type * from "./Checkpoints.ts"
export type { BundleRequest, Bundles, Compliance, ExportedBundle, ReportRequest } from "./Compliance.ts"
export type { CheckedCall, Condition, Contract, ContractCall, Contracts } from "./Contracts.ts"
export type * from "./Cost.ts"
export type { Coverage } from "./Coverage.ts"
export { formatUsd } from "./Dollars.ts"
export * from "./Errors.ts"
export type { ApprovalRequest, Gate, GateAct, GateResolution, Gates, ListedGate } from "./Gates.ts"
export type { Governing } from "./Governed.ts"
export { httpStatusOf } from "./HttpStatus.ts"
export type { Json } from "./Json.ts"
export type {
  Erasure,
  HoldOrder,
  LegalHolds,
  PruneReport,
  PruneWish,
  Retention,
  RetentionPlan,
  RetentionWish,
  RowRange,
  SealedRange
} from "./Keeping.ts"
export type { LogEntry, Logging } from "./Log.ts"
export type * from "./Loop.ts"
export type { Modules } from "./Modules.ts"
export type { Configuration, Options } from "./Options.ts"
export type * from "./Platform.ts"
export type { GatePolicy, Policies, PolicyInForce, PolicyKind, PolicyOf } from "./Policies.ts"
export type * from "./Presence.ts"
export type { Charge, Hold, Price, Pricing, PricingQuestion, Tier } from "./Pricing.ts"
export type * from "./Prompts.ts"
export type * from "./Routing.ts"
export type { Waiting } from "./Running.ts"
export type { Scope, ScopePolicy } from "./Scope.ts"

/**
 * Governance for programs that know promises and not Effect (SYN-01, DEC-14). Every method returns a promise; what is refused
 * rejects with one of the error classes that this module exports. Closed by `await using`, or by `close()`.
 */
export interface Governance extends Modules.Modules, Governed.Governing, Host, AsyncDisposable {
  /** What was decided at start. */
  readonly config: Configuration
  readonly closed: boolean
  /** Lets running calls end and writes down what is on its way, 5 seconds at most. Twice is once. */
  close(): Promise<void>
}

/** What all stores have in common; the bridge stands on it. */
type Stores = Extract<Layer.Success<ReturnType<typeof Memory.layer>>, Layer.Success<ReturnType<typeof Postgres.layer>>>

const over = async <E>(layer: Layer.Layer<Stores, E>, log: Logging): Promise<Governance> => {
  const running = await Running.start(Bridge.layer.pipe(Layer.provideMerge(layer)), log)
  const settings = Context.get(running.context, Settings)
  const governance = {
    ...Governed.make(running),
    config: Object.freeze(outward({ ...settings })),
    get closed() {
      return running.isClosed
    },
    close: () => running.close(),
    run: (effect: Effect.Effect<unknown, unknown, HostServices>) => running.fork(effect),
    [Symbol.asyncDispose]: () => running.close()
  }
  Modules.define(governance, running, settings)
  return governance as unknown as Governance
}

export const Governance = {
  /** On the Postgres of `databaseUrl` or GOVERNANCE_DATABASE_URL, which `governance migrate` has prepared. */
  start: (options: Options & Logging = {}): Promise<Governance> => over(Postgres.layer(options), options),
  /** In this process's memory: for tests, and for programs that need no proof after a restart. */
  memory: (options: Options & Logging = {}): Promise<Governance> => over(Memory.layer(options), options),
  /** On the PostgreSQL that comes along, kept in `dataDir` (default `./.governance`), for development. */
  embedded: (options: Options & Logging & { readonly dataDir?: string } = {}): Promise<Governance> =>
    over(Postgres.layerEmbedded(options), options),
  /**
   * Starts at the first use, once for the process: for servers that load their modules again and again, such as Next.js in
   * development. After a start that failed, or after `close()`, the next use starts again.
   */
  lazy: (start: () => Promise<Governance>, name = "default"): (() => Promise<Governance>) => {
    const key = Symbol.for(`effect-governance/promise/${name}`)
    return async () => {
      const held: Promise<Governance> | undefined = Reflect.get(globalThis, key)
      const found = await held?.catch(() => undefined)
      if (found !== undefined && !found.closed) return found
      if (Reflect.get(globalThis, key) === held) Reflect.set(globalThis, key, start())
      return Reflect.get(globalThis, key)
    }
  }
}
