import { createHash } from "node:crypto"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

/**
 * Where the link in a mail leads (PLT-01): a button that uses it up, since programs that look at mails follow links too; then
 * who is signed in and what they can look at. One answer that loads nothing else. The console takes its place.
 */
export const layer = Layer.unwrap(
  Effect.sync(() => {
    const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`
    const page = HttpServerResponse.html(document).pipe(
      HttpServerResponse.setHeader(
        "content-security-policy",
        `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'`
      )
    )
    return HttpRouter.add("GET", "/app/sign-in", Effect.succeed(page))
  })
)

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}
button,input{font:inherit;padding:.4rem .9rem}[hidden]{display:none}li{margin:.5rem 0}#problem{border-left:4px solid #c33;padding-left:.8rem}`

// Shows text as text and nothing else: names of workspaces were written by people.
const script = `"use strict"
const at = (id) => document.getElementById(id)
const show = (...ids) => { for (const id of ["opening", "asking", "asked", "signedIn"]) at(id).hidden = !ids.includes(id) }
const tell = (text) => { at("problem").textContent = text; at("problem").hidden = text === "" }
const api = (method, path, body) => fetch("/api/v1" + path, body === undefined ? { method } : {
  method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
const problems = {
  400: "That is not what a link or an address looks like.",
  401: "This link does not work any more: it was used, or is older than 15 minutes. Ask for a new one.",
  403: "This page was opened under another address than the platform knows itself by. Use the address in the mail.",
  429: "Too many attempts. Wait a few minutes."
}
const said = (status) => tell(problems[status] || "The platform cannot do this right now. Try again in a minute.")
const guarded = (act) => (event) => { event.preventDefault(); tell(""); act().catch(() => tell("The platform cannot be reached.")) }
const link = (href, text) => { const made = document.createElement("a"); made.href = href; made.textContent = text; return made }
const roles = { viewer: "may look", approver: "may look and decide", admin: "may look, decide and manage" }
const welcome = () => api("GET", "/me").then((answer) => answer.ok ? answer.json() : null).then((found) => {
  if (found === null) return false
  at("who").textContent = found.email
  at("workspaces").replaceChildren(...found.workspaces.map(({ name, role, workspace }) => {
    const item = document.createElement("li")
    const below = "/api/v1/workspaces/" + workspace
    item.append(name + " (" + workspace + "): " + (roles[role] || role) + ". ", link(below + "/workflows", "Workflows"), ", ",
      link(below + "/approvals", "open approvals"), ", ", link(below + "/members", "members"))
    return item
  }))
  show("signedIn")
  return true
})
let token = /^#(ml_[A-Za-z0-9_-]{43})$/.exec(location.hash)?.[1]
// Not in the history of this browser, and not in a bookmark.
history.replaceState(null, "", location.pathname)
at("open").addEventListener("click", guarded(() => api("POST", "/sign-in/sessions", { token }).then((answer) => {
  if (answer.ok) return welcome().then((known) => { if (!known) said(503) })
  if (answer.status === 401) { token = undefined; show("asking") }
  said(answer.status)
})))
at("asking").addEventListener("submit", guarded(() => api("POST", "/sign-in/links", { email: at("email").value.trim().toLowerCase() })
  .then((answer) => answer.ok ? show("asked") : said(answer.status))))
at("leave").addEventListener("click", guarded(() => api("DELETE", "/session")
  .then((answer) => answer.ok || answer.status === 401 ? show("asking") : said(answer.status))))
if (token !== undefined) show("opening")
else welcome().then((known) => { if (!known) show("asking") }, () => tell("The platform cannot be reached."))
`

const document = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in</title><style>${style}</style></head><body><main>
<h1>Governance platform</h1>
<p id="problem" role="alert" hidden></p>
<noscript><p>Signing in needs JavaScript. Without it: POST the part of the link behind # to /api/v1/sign-in/sessions.</p></noscript>
<section id="opening" hidden><p>Your link works once.</p><button id="open" type="button">Sign in</button></section>
<form id="asking" hidden><p><label>Your mail address <input id="email" type="email" autocomplete="email" required></label>
<button type="submit">Send me a link</button></p></form>
<section id="asked" role="status" hidden><p>If that address is a member here, a link is on its way. It works once, for 15 minutes.</p></section>
<section id="signedIn" hidden><p>Signed in as <strong id="who"></strong>. The session lasts 8 hours.</p>
<p>What you can look at, as data until there are pages for it (the whole contract is <a href="/openapi.json">/openapi.json</a>):</p>
<ul id="workspaces"></ul><button id="leave" type="button">Sign out</button></section>
</main><script>${script}</script></body></html>
`
