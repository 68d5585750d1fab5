import { mkdirSync, writeFileSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServer } from "effect/http"
import { Email } from "../../src/schema/Workspace.ts"
import { WorkspaceStore } from "../../src/services/WorkspaceStore.ts"
import * as Browser from "./Browser.ts"
import { mailedToken, platform, platformAtItself, send, tenant } from "./Serving.ts"

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("The page that a sign-in link leads to", (it) => {
  it.effect("loads nothing, runs only its own script, and is framed by nobody (PLT-01, ATH-08)", () =>
    Effect.gen(function* () {
      const page = yield* send("GET", "/app/sign-in")
      assert.strictEqual(page.status, 200)
      const policy = String(page.headers["content-security-policy"])
      assert.match(
        policy,
        /default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self'/
      )
      assert.notMatch(policy, /unsafe|https?:|\*/)
      assert.notMatch(String(page.body), /innerHTML|document\.write|eval\(|<(?:script|link|img)[^>]+(?:src|href)=/)
      assert.strictEqual(page.headers["referrer-policy"], "no-referrer")
      assert.strictEqual(
        (yield* send("GET", "/data-residency")).headers["content-security-policy"]?.includes("script-src"),
        false
      )
    })
  )
})

describe.skipIf(Browser.binary === undefined)("in a browser", () => {
  layer(platformAtItself, { excludeTestServices: true, timeout: "180 seconds" })(
    "The page that a sign-in link leads to",
    (it) => {
      it.effect(
        "signs in with a click, says who and what for, signs out, and says in plain words what went wrong (PLT-01, OQ-28)",
        () =>
          Effect.gen(function* () {
            const { workspace } = yield* tenant()
            const email = Email.make("ann@example.org")
            yield* WorkspaceStore.use((store) => store.putMember({ workspace, email, role: "approver" }, 0))
            const url = yield* HttpServer.addressFormattedWith((address) => Effect.succeed(address))
            const browser = yield* Browser.open

            // Without a link one asks for one; whoever is signed in already is told so.
            yield* browser.goTo(`${url}/app/sign-in`)
            yield* browser.sees("Send me a link")
            yield* browser.evaluate(
              `document.getElementById("email").value = " Ann@example.org "; document.querySelector("#asking button").click()`
            )
            yield* browser.sees("a link is on its way")

            const token = yield* mailedToken(email)
            assert.isNotEmpty(token)
            yield* browser.goTo("about:blank")
            yield* browser.goTo(`${url}/app/sign-in#${token}`)
            yield* browser.sees("Your link works once.")
            // Looking at the page used nothing up, and the token is out of the address.
            assert.strictEqual(yield* browser.evaluate("location.href"), `${url}/app/sign-in`)
            yield* browser.evaluate(`document.getElementById("open").click()`)
            const shown = yield* browser.sees("Signed in as ann@example.org")
            assert.include(shown, `Tenant (${workspace}): may look and decide.`)
            const cookie = (yield* browser.cookies).find(({ name }) => name === "governance_platform")
            assert.deepInclude(cookie, { httpOnly: true, sameSite: "Lax", path: "/" })
            assert.strictEqual(yield* browser.evaluate("document.cookie"), "")
            const place = process.env.SCREENSHOTS
            if (place !== undefined) {
              mkdirSync(place, { recursive: true })
              writeFileSync(`${place}/signed-in.png`, yield* browser.screenshot)
            }
            yield* browser.goTo("about:blank")
            yield* browser.goTo(`${url}/app/sign-in`)
            yield* browser.sees("Signed in as ann@example.org")
            yield* browser.evaluate(`document.getElementById("leave").click()`)
            yield* browser.sees("Send me a link")

            // The same link again.
            yield* browser.goTo("about:blank")
            yield* browser.goTo(`${url}/app/sign-in#${token}`)
            yield* browser.sees("Your link works once.")
            yield* browser.evaluate(`document.getElementById("open").click()`)
            yield* browser.sees("This link does not work any more")
            assert.deepStrictEqual(
              browser.said.filter((text) => !text.includes("401")),
              []
            )
            if (place !== undefined) writeFileSync(`${place}/used-link.png`, yield* browser.screenshot)
          }).pipe(Effect.scoped)
      )
    }
  )
})
