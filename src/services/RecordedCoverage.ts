import { Effect } from "effect"
import type { ComplianceReport } from "../schema/ComplianceReport.ts"
import { figureOf } from "../schema/Coverage.ts"
import type { CoverageStore } from "./CoverageStore.ts"

/**
 * What the registry says for a report (CMP-04): the figure of all instances of the last 30 days. Null with the reason null when
 * nothing was counted or the registry does not answer, which fails no report.
 */
export const recordedCoverage = (
  registry: CoverageStore["Service"] | undefined
): Effect.Effect<Pick<ComplianceReport, "coveragePct" | "coveragePctReason">> =>
  registry === undefined
    ? Effect.succeed({ coveragePct: null, coveragePctReason: "registry_disabled" })
    : registry.list.pipe(
        Effect.map(figureOf),
        Effect.map(({ coveragePct, coveragePctReason }) => ({
          coveragePct,
          coveragePctReason: coveragePctReason === "no_calls_seen" ? null : coveragePctReason
        })),
        Effect.catch((error) =>
          Effect.as(Effect.logWarning("compliance.coverage_failed", { problem: error.problem }), {
            coveragePct: null,
            coveragePctReason: null
          })
        )
      )
