import { type ComplianceReport, evidenceOnly, type ReportFact, type ReportTable } from "./ComplianceReport.ts"
import { beyondTheLaw } from "./Regulation.ts"
import { chainWords, reportHead, titleOf } from "./ReportText.ts"
import { htmlText } from "./ShownText.ts"

/**
 * One page that needs nothing beside it: no script, no font, no image, and a policy that lets a browser load none. Every value
 * is escaped and isolated from the direction of what surrounds it (T-13).
 */
export const reportHtml = (report: ComplianceReport): string =>
  htmlPage(
    titleOf(report),
    [
      `<header><p class="kind">Evidence from the audit log</p><h1>${htmlText(titleOf(report))}</h1>`,
      `<p class="lead">${htmlText(evidenceOnly)}</p>`,
      `<p class="verdict ${report.chainIntegrityStatus}">Chains ${htmlText(chainWords[report.chainIntegrityStatus])}</p></header>`,
      factList(reportHead(report)),
      ...listing("What verification found", [
        ...(report.chainVerificationError === null ? [] : [`Could not be done: ${report.chainVerificationError}`]),
        ...report.chainFindings
      ]),
      ...report.sections.flatMap((section, i) => [
        `<section><h2><span class="number">${i + 1}</span> ${htmlText(section.title)} <span class="badge ${section.status}">${htmlText(section.statusMeaning)}</span></h2>`,
        `<p>${htmlText(section.description)}</p>`,
        ...blocks(section.data),
        "</section>"
      ]),
      `<section><h2>Integrity of the evidence</h2>${factList(report.integrity)}${tableHtml(report.orphans)}</section>`,
      `<section><h2>Retention</h2>${factList(report.retention)}</section>`,
      ...listing("What is not covered", [report.coverageCaveat, ...report.notCovered]),
      `<section><h2>The law and this report</h2><p>${htmlText(beyondTheLaw)}</p>`,
      tableHtml({
        title: "",
        columns: ["Topic", "Statement", "Source", "As known on"],
        rows: report.regulation.map((note) => [note.topic, note.statement, note.source, note.asKnownOn]),
        more: 0
      }),
      "</section>"
    ].join("\n")
  )

/** A whole document around a body that MUST be escaped already. */
export const htmlPage = (title: string, body: string): string => `<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${htmlText(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`

export const factList = (facts: ReadonlyArray<ReportFact>): string =>
  `<dl>${facts.map(({ label, value }) => `<div><dt>${htmlText(label)}</dt><dd>${cell(value)}</dd></div>`).join("")}</dl>`

export const listing = (title: string, items: ReadonlyArray<string>): ReadonlyArray<string> =>
  items.length === 0
    ? []
    : [
        `<section><h2>${htmlText(title)}</h2><ul>${items.map((item) => `<li>${cell(item)}</li>`).join("")}</ul></section>`
      ]

const blocks = (data: ReadonlyArray<ReportFact | ReportTable>): ReadonlyArray<string> => {
  const facts = data.filter((block) => "label" in block)
  const tables = data.filter((block) => "columns" in block)
  return [...(facts.length === 0 ? [] : [factList(facts)]), ...tables.map(tableHtml)]
}

const tableHtml = ({ columns, more, rows, title }: ReportTable): string => {
  const heading = title === "" ? "" : `<h3>${htmlText(title)}</h3>`
  if (rows.length === 0) return `${heading}<p class="none">None.</p>`
  const numeric = columns.map((_, i) => rows.every((row) => typeof row[i] === "number"))
  const side = (i: number) => (numeric[i] === true ? ' class="n"' : "")
  return [
    `${heading}<div class="scroll"><table><thead><tr>${columns.map((name, i) => `<th scope="col"${side(i)}>${htmlText(name)}</th>`).join("")}</tr></thead>`,
    `<tbody>${rows.map((row) => `<tr>${row.map((value, i) => `<td${side(i) || whole(value)}>${cell(value)}</td>`).join("")}</tr>`).join("")}</tbody></table></div>`,
    more > 0 ? `<p class="none">… and ${more} more.</p>` : ""
  ].join("")
}

/** A time, a kind or a name stays on one line; what is longer breaks anywhere. */
const whole = (value: string | number | null) => (typeof value === "string" && value.length <= 28 ? ' class="w"' : "")

const cell = (value: string | number | null): string =>
  value === null ? "–" : typeof value === "number" ? `${value}` : `<bdi>${htmlText(value)}</bdi>`

const style = `
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5a6475;--line:#d9dee7;--paper:#fff;--tint:#f5f7fa;--good:#17663a;--goodbg:#e3f4e9;--warn:#7a4d00;--warnbg:#fdf1d8;--bad:#9b1c1c;--badbg:#fde7e7}
@media (prefers-color-scheme:dark){:root{--ink:#e5e9f0;--soft:#9aa5b8;--line:#343c4a;--paper:#14181f;--tint:#1c222c;--good:#7fd6a0;--goodbg:#153021;--warn:#f0c774;--warnbg:#352a10;--bad:#ff9a9a;--badbg:#3a1717}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:70rem;margin:0 auto;padding:3rem 2rem 5rem}
.kind{margin:0;color:var(--soft);text-transform:uppercase;letter-spacing:.09em;font-size:.75rem}
h1{font-size:2rem;line-height:1.2;margin:.2rem 0 .6rem;font-weight:650}
h2{font-size:1.2rem;margin:2.4rem 0 .5rem;padding-top:1rem;border-top:1px solid var(--line);font-weight:650;display:flex;gap:.6rem;align-items:baseline;flex-wrap:wrap}
h3{font-size:.9rem;margin:1.3rem 0 .4rem;font-weight:600}
.number{color:var(--soft);font-variant-numeric:tabular-nums}
.lead{color:var(--soft);max-width:46rem;margin:0 0 1rem}
.verdict,.badge{display:inline-block;border-radius:.35rem;font-weight:600}
.verdict{padding:.45rem .8rem;margin:.4rem 0 1.2rem}
.badge{padding:.1rem .5rem;font-size:.75rem}
.verified,.compliant{background:var(--goodbg);color:var(--good)}
.unverified,.partial{background:var(--warnbg);color:var(--warn)}
.failed,.non_compliant{background:var(--badbg);color:var(--bad)}
dl{margin:.8rem 0;border:1px solid var(--line);border-radius:.4rem;overflow:hidden}
dl div{display:grid;grid-template-columns:minmax(9rem,1fr) 2fr;gap:1rem;padding:.35rem .8rem}
dl div:nth-child(odd){background:var(--tint)}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.86rem}
th{text-align:left;color:var(--soft);font-weight:600;border-bottom:2px solid var(--line);padding:.3rem .7rem .3rem 0}
td{border-bottom:1px solid var(--line);padding:.3rem .7rem .3rem 0;vertical-align:top;overflow-wrap:anywhere;min-width:9rem}
th{white-space:nowrap}td.n,td.w{min-width:0}
.n{text-align:right;font-variant-numeric:tabular-nums;padding-right:1.4rem}
.w{white-space:nowrap}
.none{color:var(--soft);margin:.3rem 0}
pre{background:var(--tint);border:1px solid var(--line);border-radius:.4rem;padding:.7rem .9rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.86rem}
p{overflow-wrap:anywhere}
li{margin:.2rem 0;overflow-wrap:anywhere}
@media (max-width:40rem){main{padding:1.5rem 1rem 3rem}h1{font-size:1.5rem}dl div{grid-template-columns:1fr;gap:0}dt{font-size:.86rem}ul{padding-left:1.2rem}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--tint:#f6f6f6;--good:#17663a;--goodbg:#fff;--warn:#7a4d00;--warnbg:#fff;--bad:#9b1c1c;--badbg:#fff}body{font-size:10.5pt}main{max-width:none;padding:0}.scroll{overflow:visible}.w,th{white-space:normal}td{min-width:0}tr,dl div{break-inside:avoid}h2,h3{break-after:avoid}.verdict,.badge{border:1px solid currentColor}}
`
