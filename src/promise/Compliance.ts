import { Effect } from "effect"
import type { ComplianceReport } from "../schema/ComplianceReport.ts"
import type * as Service from "../services/Bundles.ts"
import type { Running } from "./Running.ts"

/** Reports over the log. They say what was recorded, never that anybody meets a law. */
export interface Compliance {
  generateArticle12(request?: ReportRequest): Promise<ComplianceReport>
  /** About one agent. */
  generateSummary(agentId: string, request?: Omit<ReportRequest, "agentId">): Promise<ComplianceReport>
}

/** What a report is about. Times are milliseconds since the epoch, both ends included. */
export interface ReportRequest {
  readonly sessionIds?: ReadonlyArray<string> | undefined
  readonly agentId?: string | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** The moment that the report says it is of; default: the time of its newest row. */
  readonly atMs?: number | undefined
  readonly verifyChain?: boolean | undefined
}

/** Evidence in one file that a stranger can check without your database. */
export interface Bundles {
  /** Hands the bundle to `sink`, piece by piece; a promise of its is waited for. The export is recorded in the log. */
  write(request: BundleRequest, sink: (piece: Uint8Array) => void | PromiseLike<void>): Promise<ExportedBundle>
}

export interface BundleRequest extends Omit<ReportRequest, "verifyChain"> {
  readonly format?: "article12" | "summary" | undefined
  /** Who exports. It goes into the log. */
  readonly by: string
  /** `zip` (default): an archive with pages for people. `json`: one line of JSON, of rows up to 100 MB. */
  readonly form?: "zip" | "json" | undefined
}

/** What was written, and what the verification of its chains found meanwhile. */
export type ExportedBundle = Service.ExportedBundle

/** The sink is the caller's. */
export const special = (bundles: Service.Bundles["Service"], running: Running<never>): Pick<Bundles, "write"> => ({
  write: (request, sink) =>
    running.promise(
      bundles.write(request, (piece) => Effect.tryPromise({ try: async () => sink(piece), catch: (error) => error }))
    )
})
