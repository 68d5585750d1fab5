import {
  type ChainIntegrityStatus,
  type ReportFact,
  type ReportSection,
  type ReportTable,
  type SectionStatus,
  statusMeanings
} from "./ComplianceReport.ts"
import { isoOf as instant } from "./Instant.ts"
import type { Frequencies, Listing } from "./Listing.ts"
import { formatUsd, NanoUsd } from "./Money.ts"
import type { ReportTally, SessionSpan, ShownRow } from "./ReportTally.ts"

type Evidence = "all" | "some" | "none"

/** OQ-10: a failed chain proves nothing, and what was not verified is never more than partial. */
export const statusOf = (evidence: Evidence, chain: ChainIntegrityStatus): SectionStatus =>
  chain === "failed" || evidence === "none"
    ? "non_compliant"
    : evidence === "some" || chain === "unverified"
      ? "partial"
      : "compliant"

/** The seven sections of an Article 12 report (CMP-08), each with the evidence that the rows give for it. */
export const article12Sections = (tally: ReportTally, chain: ChainIntegrityStatus): ReadonlyArray<ReportSection> => {
  const { calls } = tally
  const open = calls.orphans.count + calls.unannounced.count
  return [
    section(
      "Event registration",
      "What was recorded automatically while the system ran: every governed call writes its rows without code of the application.",
      [
        fact("Rows", tally.rows),
        fact("First row", isoOf(tally.firstMs)),
        fact("Last row", isoOf(tally.lastMs)),
        counts("Rows by kind", "Kind", tally.kinds),
        counts("Rows by agent", "Agent", tally.agents)
      ],
      some(tally.rows, tally.rows),
      chain
    ),
    section(
      "Duration of use",
      "When each session began and ended, by its first and last row. A session that is still open goes on after its last row.",
      [fact("Sessions", tally.sessions.count), sessions(tally.sessions)],
      tally.sessions.count > 0 ? "all" : some(0, tally.rows),
      chain
    ),
    section(
      "Reference database",
      "What the system worked with: models, tools and interfaces that calls named, and the policies and prompts that were changed. Contents of a reference database are not in the log.",
      [
        counts("Tools, interfaces and models by call", "Name", calls.names),
        counts("Models", "Model", tally.models),
        rows("Changes of policies, prompts and routes", tally.references)
      ],
      some(calls.attempts, tally.references.count),
      chain
    ),
    section(
      "Input data",
      "Calls whose input is fixed by a hash: whoever kept the input can show that it is the one, and the log holds no copy of it.",
      [fact("Calls", calls.attempts), fact("Calls with a hash of their input", calls.attemptsWithInput)],
      share(calls.attemptsWithInput, calls.attempts),
      chain
    ),
    section(
      "Functioning",
      "How calls ended. Each has an attempt and an outcome or a refusal; one without an end is listed as an orphan.",
      [
        fact("Calls", calls.attempts),
        fact("Outcomes", calls.outcomes),
        fact("Outcomes with a hash of their output", calls.outcomesWithOutput),
        fact("Outcomes that came after their lease", calls.late),
        fact("Calls without an end", calls.orphans.count),
        fact("Outcomes without an attempt", calls.unannounced.count),
        fact("Refusals, listed in section 7", tally.violations.count),
        fact("Spent", formatUsd(NanoUsd.make(tally.spentNanoUsd))),
        fact("Tokens", `${tally.tokens}`),
        counts("Outcomes by result", "Result", calls.results)
      ],
      calls.attempts === 0 ? "none" : open === 0 ? "all" : "some",
      chain
    ),
    section(
      "Human oversight",
      "Where a person decided: approvals that were asked for, given and refused, and agents that were halted and restored.",
      oversight(tally),
      some(tally.oversight.count, tally.oversight.count),
      chain
    ),
    section(
      "Post-market monitoring",
      "What deserved attention: refused calls, and what the log says about itself, such as events that were lost or could not be written.",
      [
        counts("Refusals by kind", "Kind", tally.violationKinds),
        rows("Refusals", tally.violations),
        counts("The log about itself", "Kind", tally.healthKinds),
        rows("Events of the log about itself", tally.health)
      ],
      some(tally.rows, tally.rows),
      chain
    )
  ]
}

/** The three sections of a summary (CMP-09). */
export const summarySections = (tally: ReportTally, chain: ChainIntegrityStatus): ReadonlyArray<ReportSection> => [
  section(
    "Agent overview",
    "How much the agent did, with which models, in which sessions.",
    [
      fact("Rows", tally.rows),
      fact("First row", isoOf(tally.firstMs)),
      fact("Last row", isoOf(tally.lastMs)),
      fact("Calls", tally.calls.attempts),
      fact("Spent", formatUsd(NanoUsd.make(tally.spentNanoUsd))),
      counts("Rows by kind", "Kind", tally.kinds),
      counts("Models", "Model", tally.models),
      sessions(tally.sessions)
    ],
    some(tally.rows, tally.rows),
    chain
  ),
  section(
    "Violation summary",
    "Calls that were refused by scope, budget, loop or contract.",
    [counts("By kind", "Kind", tally.violationKinds), rows("Refusals", tally.violations)],
    some(tally.rows, tally.rows),
    chain
  ),
  section(
    "Human oversight",
    "Approvals and halts.",
    oversight(tally),
    some(tally.oversight.count, tally.oversight.count),
    chain
  )
]

const oversight = (tally: ReportTally): ReportSection["data"] => [
  counts("By kind", "Kind", tally.oversightKinds),
  rows("Decisions", tally.oversight),
  fact("Tokens that were rejected", tally.rejectedTokens.count),
  rows("Rejected tokens", tally.rejectedTokens)
]

export const fact = (label: string, value: string | number | null): ReportFact => ({ label, value })

export const rows = (title: string, found: Listing<ShownRow>): ReportTable => ({
  title,
  columns: ["Time", "Row", "Kind", "Agent", "What", "By and why"],
  rows: found.items.map((row) => [row.at, row.place, row.kind, row.agent, row.name, row.words]),
  more: found.more
})

const section = (
  title: string,
  description: string,
  data: ReportSection["data"],
  evidence: Evidence,
  chain: ChainIntegrityStatus
): ReportSection => {
  const status = statusOf(evidence, chain)
  return { title, description, data, status, statusMeaning: statusMeanings[status] }
}

const some = (full: number, partial: number): Evidence => (full > 0 ? "all" : partial > 0 ? "some" : "none")
const share = (part: number, whole: number): Evidence => (part === 0 ? "none" : part === whole ? "all" : "some")

const listed = 20

const counts = (title: string, column: string, found: Frequencies): ReportTable => {
  const entries = found.entries()
  const shown = entries.slice(0, listed)
  return {
    title,
    columns: [column, "Count"],
    rows: [
      ...shown,
      ...(found.others > 0 || entries.length > listed
        ? [["(others)", found.total - shown.reduce((sum, [, count]) => sum + count, 0)]]
        : [])
    ],
    more: 0
  }
}

const sessions = (found: Listing<SessionSpan>): ReportTable => ({
  title: "Sessions",
  columns: ["Session", "First row", "Last row", "Seconds", "Rows", "Agents"],
  rows: found.items.map(({ agents, firstAt, firstMs, lastAt, lastMs, rows: count, session }) => [
    session,
    firstAt,
    lastAt,
    (lastMs - firstMs) / 1000,
    count,
    agents.join(", ")
  ]),
  more: found.more
})

const isoOf = (ms: number): string | null => (Number.isFinite(ms) ? instant(ms) : null)
