import { type ComplianceReport, evidenceOnly } from "./ComplianceReport.ts"
import { factList, htmlPage, listing } from "./ReportHtml.ts"
import { reportHead } from "./ReportText.ts"
import { htmlText } from "./ShownText.ts"

/** The page that whoever gets a bundle opens first: what it is, what it is not, and how to check it (CMP-13). */
export const bundleCover = (report: ComplianceReport, verifierKey: string | null): string => {
  // Never the bundle's own key, ready to be pasted: that would let a forger vouch for himself.
  const key = "<the checkpoint key>"
  const named = verifierKey === null ? "" : `<p>This bundle names the key <bdi>${htmlText(verifierKey)}</bdi>.</p>`
  return htmlPage(
    "Evidence bundle",
    [
      '<header><p class="kind">effect-governance</p><h1>Evidence bundle</h1>',
      `<p class="lead">${htmlText(evidenceOnly)}</p></header>`,
      factList(reportHead(report)),
      "<section><h2>How to check it</h2>",
      "<p>Nothing but Node.js is needed: no database, no secret, no network. With the command line, or with the stand-alone verifier, which is one short file that you can read (<code>examples/verify-bundle.mjs</code> of effect-governance):</p>",
      `<pre>npx effect-governance verify-bundle evidence.zip --checkpoint-key '${htmlText(key)}'\nnode verify-bundle.mjs evidence.zip --checkpoint-key '${htmlText(key)}'</pre>`,
      "<p>Get the checkpoint key from the operator over another way than this bundle: whoever forges a bundle puts his own key on this page. The format is described in <code>docs/audit-format.md</code> of effect-governance, down to the byte, for those who would rather write a verifier of their own.</p>",
      `${named}</section>`,
      ...listing("What the answer means", [
        "ok: it is what the holder of the key that you gave signed, and nothing in it contradicts it",
        "TAMPERED: it was changed, or whoever made it found the rows changed; do not rely on it",
        "ANOTHER KEY: it is whole, and somebody else than the holder of your key signed it",
        "NOT VERIFIED: nothing speaks against it, and something that would prove it is missing, such as the key",
        "In each case the lines NOT COVERED name what nobody can conclude from it."
      ]),
      ...listing("What is in it", [
        "manifest.json: the SHA-256 of every file, what is covered and what is not, and the signatures over that",
        "events.jsonl: every row of the chains in question, as stored, from the first to the last",
        ...(report.checkpoint === null ? [] : ["checkpoint.txt: the signed checkpoint that the rows are covered by"]),
        "proofs.json: that the last row which the checkpoint knows of each chain is in it",
        "keys.json: the public keys of the checkpoints and of the agents that signed rows",
        "report.html, report.md, report.json: what the rows say, three times the same"
      ]),
      ...listing("What is not covered", [report.coverageCaveat, ...report.notCovered])
    ].join("\n")
  )
}
