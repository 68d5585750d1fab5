import { canonicalize } from "./CanonicalJson.ts"
import { type ComplianceReport, evidenceOnly, type ReportFact, type ReportTable } from "./ComplianceReport.ts"
import { beyondTheLaw } from "./Regulation.ts"
import { markdownText } from "./ShownText.ts"
import { terminalText } from "./TerminalText.ts"

/** One line of RFC 8785 JSON and a newline: the same rows give the same bytes. */
export const reportJson = (report: ComplianceReport): string => `${canonicalize(report)}\n`

/** The text whose SHA-256 is the report's id: the report without it, after a label of its own. */
export const reportIdText = ({ reportId: _, ...rest }: ComplianceReport): string =>
  `effect-governance/report/v1/hash\n${canonicalize(rest)}`

/** What a report says before its sections, as names and values. */
export const reportHead = (report: ComplianceReport): ReadonlyArray<ReportFact> => [
  { label: "Report", value: report.reportId },
  { label: "As of", value: report.generatedAt ?? "no rows, no time was asked for" },
  { label: "Deployment", value: report.deploymentId ?? "not known here" },
  { label: "Agent", value: report.agentId === null ? "every agent" : terminalText(report.agentId) },
  {
    label: "Sessions",
    value: report.sessionIds === null ? "every session" : terminalText(report.sessionIds.join(", "))
  },
  { label: "From", value: report.dateRange.from ?? "the beginning of the log" },
  { label: "To", value: report.dateRange.to ?? "the end of the log" },
  { label: "Times", value: report.timezone },
  { label: "Chains", value: chainWords[report.chainIntegrityStatus] },
  {
    label: "Checkpoint",
    value:
      report.checkpoint === null
        ? "none: nothing outside the database vouches for these rows"
        : `covers up to checkpoint ${report.checkpoint.size} of ${report.checkpoint.origin}`
  },
  {
    label: "Coverage",
    value:
      report.coveragePct === null
        ? `not measured: ${coverageWords[report.coveragePctReason ?? "unknown"]}`
        : `${Math.round(report.coveragePct * 1000) / 10} %`
  }
]

const coverageWords = {
  no_scope_policies_registered: "no scope policy names what should be governed",
  registry_disabled: "no program counts its calls to language models",
  ok: "no reason is known",
  unknown: "no call to a language model was counted, or the count could not be read"
} as const

export const chainWords = {
  verified: "verified: texts, hashes, links and keys of every row agree",
  failed: "FAILED: see the findings",
  unverified: "not verified"
} as const

/** For people who read text: every value is escaped, tables are tables. */
export const reportMarkdown = (report: ComplianceReport): string =>
  [
    `# ${titleOf(report)}`,
    "",
    evidenceOnly,
    "",
    factTable(reportHead(report)),
    "",
    ...list("What verification found", [
      ...(report.chainVerificationError === null ? [] : [`Could not be done: ${report.chainVerificationError}`]),
      ...report.chainFindings
    ]),
    ...report.sections.flatMap((section, i) => [
      `## ${i + 1}. ${section.title}`,
      "",
      `**${section.statusMeaning}.** ${markdownText(section.description)}`,
      "",
      ...blocks(section.data)
    ]),
    "## Integrity of the evidence",
    "",
    factTable(report.integrity),
    "",
    ...blocks([report.orphans]),
    "## Retention",
    "",
    factTable(report.retention),
    "",
    ...list("What is not covered", [report.coverageCaveat, ...report.notCovered]),
    "## The law and this report",
    "",
    beyondTheLaw,
    "",
    tableText({
      title: "",
      columns: ["Topic", "Statement", "Source", "As known on"],
      rows: report.regulation.map((note) => [note.topic, note.statement, note.source, note.asKnownOn]),
      more: 0
    }),
    ""
  ].join("\n")

export const titleOf = (report: ComplianceReport): string =>
  report.format === "article12" ? "Article 12 evidence report" : "Summary of an agent's evidence"

const blocks = (data: ReadonlyArray<ReportFact | ReportTable>): ReadonlyArray<string> => {
  const facts = data.filter((block) => "label" in block)
  const tables = data.filter((block) => "columns" in block)
  return [
    ...(facts.length === 0 ? [] : [factTable(facts), ""]),
    ...tables.flatMap((table) => [`**${markdownText(table.title)}**`, "", tableText(table), ""])
  ]
}

const factTable = (facts: ReadonlyArray<ReportFact>): string =>
  tableText({ title: "", columns: ["", ""], rows: facts.map(({ label, value }) => [label, value]), more: 0 })

const tableText = ({ columns, more, rows }: ReportTable): string =>
  rows.length === 0
    ? "None."
    : [
        line(columns),
        line(
          columns.map(() => "---"),
          false
        ),
        ...rows.map((row) => line(row.map((value) => (value === null ? "–" : `${value}`)))),
        ...(more > 0 ? ["", `… and ${more} more.`] : [])
      ].join("\n")

const line = (cells: ReadonlyArray<string>, escape = true) =>
  `| ${cells.map((cell) => (escape ? markdownText(cell) : cell)).join(" | ")} |`

const list = (title: string, items: ReadonlyArray<string>): ReadonlyArray<string> =>
  items.length === 0 ? [] : [`## ${title}`, "", ...items.map((item) => `- ${markdownText(item)}`), ""]
