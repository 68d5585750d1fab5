import { Effect } from "effect"
import { Command } from "effect/cli"
import {
  type CoverageInstance,
  type CoverageReport,
  figureText,
  registrationDays,
  reportOf
} from "../../schema/Coverage.ts"
import { isoOf } from "../../schema/Instant.ts"
import { CoverageStore } from "../../services/CoverageStore.ts"
import { withStores } from "../Environment.ts"
import { answer } from "../Output.ts"
import { facts, momentText, table } from "../Table.ts"

/** Which part of the calls to language models is governed, by what the programs with `enableCoverage` have counted (COV-03). */
export const coverage = Command.make("coverage").pipe(
  Command.withDescription(
    "Which part of the calls to known hosts of language models went through a wrapper, and what is wrapped where."
  ),
  Command.withExamples([
    { command: "governance coverage", description: "The figure, and every instance of the last 30 days" },
    {
      command: "governance coverage --json | jq .coveragePct",
      description: "From 0 to 1, or null: nothing was measured"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const report = reportOf(yield* (yield* CoverageStore).list)
      yield* answer(jsonOf(report), (width) => text(report, width))
    }, withStores)
  )
)

const text = (report: CoverageReport, width: number | undefined): string =>
  [
    facts([
      ["coverage", figureText(report)],
      ["governed calls", String(report.governed)],
      ["raw calls", String(report.raw)],
      ["instances", `${report.instances.length} in the last ${registrationDays} days`]
    ]),
    ...(report.instances.length === 0 ? [] : ["", table(columns(width), report.instances, width)])
  ].join("\n")

const columns = (width: number | undefined) => [
  { title: "INSTANCE", keep: true, value: ({ instance }: CoverageInstance) => instance },
  { title: "LAST SEEN", keep: true, value: (row: CoverageInstance) => momentText(row.lastSeenMs, width === undefined) },
  { title: "GOVERNED", right: true, value: ({ governed }: CoverageInstance) => String(governed) },
  { title: "RAW", right: true, value: ({ calls, governed }: CoverageInstance) => String(calls - governed) },
  { title: "WRAPPERS", value: (row: CoverageInstance) => row.wrappers.map(wrapperText).join(", ") || "none" }
]

const wrapperText = ({ clients, name, sdkVersion }: CoverageInstance["wrappers"][number]) =>
  `${name}${sdkVersion === null ? "" : ` ${sdkVersion}`}${clients === 1 ? "" : ` (${clients})`}`

const jsonOf = ({ coveragePct, coveragePctReason, governed, instances, raw }: CoverageReport) => ({
  coveragePct,
  coveragePctReason,
  governed,
  raw,
  instances: instances.map(({ lastSeenMs, startedAtMs, ...instance }) => ({
    ...instance,
    startedAt: isoOf(startedAtMs),
    lastSeen: isoOf(lastSeenMs)
  }))
})
