import type { CoverageReport } from "../schema/Coverage.ts"
import type * as Service from "../services/Coverage.ts"

/** Which part of this deployment's calls to language models is governed. Needs `enableCoverage`. */
export interface Coverage {
  /** Every process of the registry. When the registry does not answer: this one, and it says so. */
  report(): Promise<CoverageReport>
  /** Sends a request that is governed already, and counts it as such. Wrapped clients and `governed({ model })` do it by themselves. */
  send<A>(url: string | URL, send: () => Promise<A>): Promise<A>
}

/** What it hands on is the caller's. */
export const special = (coverage: Service.Coverage["Service"]): Pick<Coverage, "send"> => ({
  send: (url, send) => coverage.send(url, send)
})
