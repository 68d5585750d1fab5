import { Effect, Exit, Scope, Stream } from "effect"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import type { AuditRecord as StoredRecord } from "../schema/AuditRecord.ts"
import type { AuditStats } from "../schema/AuditStats.ts"
import type { ChainReport } from "../schema/ChainReport.ts"
import type * as Service from "../services/Audit.ts"
import type { Json } from "./Json.ts"
import type { Running, Waiting } from "./Running.ts"

/** The tamper-evident log. */
export interface Audit {
  /** Resolves when the event is committed. Storage trouble never rejects it: the event waits on disk, and the record says so. */
  log(event: AuditEventInput): Promise<AuditRecord>
  /** As `log`, for callers who do not read the record. */
  note(event: AuditEventInput): Promise<void>
  /** As `log`, but rejects unless the row is in the database. */
  require(event: AuditEventInput): Promise<AuditRecord>
  /** Logs `<kind>.start`, then `<kind>.end` or `<kind>.error`, around a function. */
  track<A>(kind: string, agentId: string, use: () => A | PromiseLike<A>, options?: TrackOptions): Promise<A>
  getEvents(query: AuditQuery): Promise<ReadonlyArray<AuditRecord>>
  /** All rows of a session in order, each verified; rejects at the first bad one. */
  traceSessionChain(sessionId: string): Promise<ReadonlyArray<AuditRecord>>
  /** From an event to its root, each row verified. */
  trace(eventId: string): Promise<ReadonlyArray<AuditRecord>>
  /** True, or rejects with the first break; never false. */
  verifyChain(range?: {
    readonly sessionId?: string
    readonly chain?: string
    readonly fromSeq?: number
    readonly toSeq?: number
  }): Promise<true>
  /** Every chain (or one) with every break. Never rejects for what it finds. */
  report(options?: ReportOptions): Promise<ChainReport>
  /** Calls back after each row that this process has stored. Resolves to a function that ends it. */
  subscribe(callback: (record: AuditRecord) => void | PromiseLike<void>): Promise<() => Promise<void>>
  /** New rows of every chain from now on, or from `sinceMs` on, by whichever process; ends when governance closes. */
  tail(options?: { readonly sinceMs?: number; readonly signal?: AbortSignal }): AsyncIterable<AuditRecord>
  stats(): Promise<AuditStats>
}

export interface TrackOptions {
  readonly sessionId?: string
  readonly input?: unknown
}

export interface ReportOptions {
  readonly chain?: string
  readonly onProgress?: (rows: number) => void | PromiseLike<void>
}

export interface AuditQuery {
  readonly chain?: string | undefined
  readonly agentId?: string | undefined
  readonly sessionId?: string | undefined
  readonly kinds?: ReadonlyArray<string> | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Newest first when true. */
  readonly newestFirst?: boolean | undefined
  /** Default 1000, at most 10000. */
  readonly limit?: number | undefined
}

/** One row of the log. */
export interface AuditRecord {
  /** `spooled`: it waits on disk for the database. `placeholder`: not even the disk could take it. */
  readonly status: "stored" | "spooled" | "placeholder"
  readonly id: string
  /** `session:<id>`, `agent:<id>` or `operator`. */
  readonly chain: string
  /** 1 for the first row of a chain; 0 while the event is not in its chain. */
  readonly seq: number
  /** ISO 8601 in UTC. */
  readonly at: string
  readonly delayedSince: string | null
  readonly kind: string
  readonly agentId: string
  readonly sessionId: string | null
  readonly parentEventId: string | null
  readonly model: string | null
  readonly inputHash: string | null
  readonly outputHash: string | null
  readonly metadata: Json
  /** Digests in hex. */
  readonly prevHash: string | null
  readonly hash: string
  readonly hmac: string
  readonly keyId: string
  readonly signer: string | null
  readonly signature: string | null
  readonly signatureStatus: "signed" | "unsigned" | "unsigned_local_failure"
  readonly isPlaceholder: boolean
}

type Special = Pick<Audit, "track" | "report" | "subscribe" | "tail">

/** The methods that take functions of the caller's, or give more than one answer. */
export const special = (audit: Service.Audit["Service"], running: Running<never>): Special => ({
  track: (kind, agentId, use, options) => running.promise(audit.track(kind, agentId, options)(attempt(use))),
  report: ({ onProgress, ...options } = {}) =>
    running.promise(
      audit.report({
        ...options,
        ...(onProgress === undefined
          ? {}
          : { onProgress: (rows) => Effect.ignore(attempt(async () => onProgress(rows))) })
      })
    ),
  subscribe: async (callback) => {
    const scope = Scope.makeUnsafe()
    const called = (record: StoredRecord) => attempt(async () => callback(record))
    await running.promise(Scope.provide(audit.subscribe(called), scope))
    return () => Effect.runPromise(Scope.close(scope, Exit.void))
  },
  tail: ({ signal, ...options } = {}) =>
    running.endless(
      Stream.map(audit.tail(options), (record): AuditRecord => record),
      { signal } satisfies Waiting
    )
})

const attempt = <A>(use: () => A | PromiseLike<A>) =>
  Effect.tryPromise({ try: async () => use(), catch: (error) => error })
