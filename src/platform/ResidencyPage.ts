import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { keptData, residencyNotes } from "../schema/DataResidency.ts"
import { htmlText } from "../schema/ShownText.ts"
import { PlatformSettings } from "./PlatformSettings.ts"

/** The page that a bridge's first warning links to: what is kept, for how long, where, and a text to agree on (PLT-09). */
export const layer = Layer.unwrap(
  Effect.map(PlatformSettings, ({ contact, region }) => {
    const rows = keptData.map(
      ({ holds, kept, what }) =>
        `<tr><td>${htmlText(what)}</td><td>${htmlText(holds)}</td><td>${htmlText(kept)}</td></tr>`
    )
    const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Data residency</title>
<style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}td,th{border:1px solid;padding:.3rem .6rem;text-align:left;vertical-align:top}</style>
<h1>What this platform keeps, for how long, and where</h1>
<p>Where: ${htmlText(region)}.${contact === null ? "" : ` Questions: ${htmlText(contact)}.`}</p>
<table><tr><th>What</th><th>What is in it</th><th>How long</th></tr>
${rows.join("\n")}
</table>
${residencyNotes.map((note) => `<p>${htmlText(note)}</p>`).join("\n")}
<h2>Template of a data processing agreement</h2>
${agreement.map((clause) => `<p>${htmlText(clause)}</p>`).join("\n")}
</html>
`
    return HttpRouter.add("GET", "/data-residency", Effect.succeed(HttpServerResponse.html(page)))
  })
)

/** A beginning, not legal advice. */
const agreement = [
  "A template to begin with; it is no legal advice. [Customer] is the controller, [Host] the processor of the data in the table above.",
  "1. Subject and purpose: showing timelines of AI agents and deciding requests for approval. Duration: as long as workflow tokens of the customer are good, and until deletion.",
  "2. Data subjects: the customer's people who sign in, and persons who are named in ids or metadata that the customer sends. The customer sends as little of that as it can.",
  "3. The host processes on documented instructions only, binds its people to confidentiality, and lists its sub-processors: [the host of the database], [the mail server].",
  "4. Security: tokens and sessions as hashes, encrypted transport, tenants apart by key in every statement and by row security in the database, a database role without the right to change events.",
  "5. The host helps with the rights of data subjects, reports breaches within [48] hours, and deletes or returns the data at the end, on request within [30] days."
]
