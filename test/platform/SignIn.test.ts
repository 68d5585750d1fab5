import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { type Mail, Mailer } from "../../src/platform/Mailer.ts"
import { PlatformSettings, platformDefaults } from "../../src/platform/PlatformSettings.ts"
import * as SignIn from "../../src/platform/SignIn.ts"
import { Email, WorkspaceId } from "../../src/schema/Workspace.ts"
import { WorkspaceStore } from "../../src/services/WorkspaceStore.ts"
import { isSameOrigin } from "../../src/web/SameOrigin.ts"
import { Mails, mailedToken, person, platform, send, tenant } from "./Serving.ts"
import { memoryStores } from "./Stores.ts"

const links = "/api/v1/sign-in/links"
const sessions = "/api/v1/sign-in/sessions"

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("Signing in to the platform", (it) => {
  it.effect(
    "works with the link from the mail, once, and gives a cookie that no script reads (PLT-01, OQ-28, ATH-08)",
    () =>
      Effect.gen(function* () {
        const { workspace } = yield* tenant()
        const { cookie, email } = yield* person(workspace, "viewer")
        const me = yield* send("GET", "/api/v1/me", { cookie })
        assert.deepStrictEqual(
          [me.status, me.body],
          [200, { email, workspaces: [{ workspace, name: "Tenant", tier: "enterprise", role: "viewer" }] }]
        )
        const token = yield* mailedToken(email)
        const again = yield* send("POST", sessions, { body: { token } })
        assert.deepStrictEqual([again.status, again.body], [401, { error: "unauthorized" }])
        assert.isUndefined(again.headers["set-cookie"])
        yield* send("POST", links, { body: { email } })
        yield* Effect.sleep("200 millis")
        const fresh = yield* send("POST", sessions, { body: { token: yield* mailedToken(email) } })
        assert.match(String(fresh.headers["set-cookie"]), /HttpOnly/i)
        assert.match(String(fresh.headers["set-cookie"]), /SameSite=Lax/i)
      })
  )

  it.effect("answers an address that nobody has like one that somebody has, and mails nothing to it (ATH-05)", () =>
    Effect.gen(function* () {
      const { workspace } = yield* tenant()
      const { email } = yield* person(workspace, "viewer")
      const [known, unknown] = [
        yield* send("POST", links, { body: { email } }),
        yield* send("POST", links, { body: { email: "nobody@example.org" } })
      ]
      assert.deepStrictEqual([known.status, known.body], [202, ""])
      assert.deepStrictEqual([unknown.status, unknown.body], [202, ""])
      yield* Effect.sleep("100 millis")
      assert.isFalse((yield* Mails).some(({ to }) => to === "nobody@example.org"))
      for (const bad of ["", "x", "a@b@c", "a b@c.de", "a@c.de\r\nBcc: x@y.z", "A@EXAMPLE.ORG"]) {
        assert.strictEqual((yield* send("POST", links, { body: { email: bad } })).status, 400, bad)
      }
    })
  )

  it.effect("limits links for an address, says when to come again, and lets others through (OQ-28, PLT-03)", () =>
    Effect.gen(function* () {
      const email = `often-${globalThis.crypto.randomUUID().slice(0, 8)}@example.org`
      const answers = yield* Effect.forEach(Array.from({ length: 6 }), () => send("POST", links, { body: { email } }))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [202, 202, 202, 202, 202, 429]
      )
      assert.deepStrictEqual(answers[5]?.body, { error: "rate_limited" })
      const wait = Number(answers[5]?.headers["retry-after"])
      assert.isTrue(wait > 600 && wait <= 910, `${wait}`)
    })
  )

  it.effect("ends with the session: signed out, or removed from the last workspace (ATH-02)", () =>
    Effect.gen(function* () {
      const { workspace } = yield* tenant()
      const admin = yield* person(workspace, "admin")
      const other = yield* person(workspace, "viewer")
      const removed = yield* send("DELETE", `/api/v1/workspaces/${workspace}/members/${other.email}`, admin)
      assert.strictEqual(removed.status, 204)
      assert.strictEqual((yield* send("GET", "/api/v1/me", other)).status, 401)
      assert.strictEqual((yield* send("DELETE", "/api/v1/session", admin)).status, 204)
      assert.strictEqual((yield* send("GET", "/api/v1/me", admin)).status, 401)
      for (const cookie of [undefined, "governance_platform=", "governance_platform=ss_x", "other=1"]) {
        assert.strictEqual((yield* send("GET", "/api/v1/me", { cookie })).status, 401)
      }
    })
  )

  it.effect("changes nothing for a page of another site (ATH-08)", () =>
    Effect.gen(function* () {
      const { workspace } = yield* tenant()
      const { cookie } = yield* person(workspace, "admin")
      const path = `/api/v1/workspaces/${workspace}/workflows`
      for (const headers of [{ origin: "https://evil.example" }, { origin: "null" }]) {
        const refused = yield* send("POST", path, { cookie, headers, body: { name: "theirs" } })
        assert.deepStrictEqual([refused.status, refused.body], [403, { error: "forbidden" }])
        assert.strictEqual((yield* send("POST", links, { headers, body: { email: "a@b.de" } })).status, 403)
      }
      const own = { origin: platformDefaults.publicUrl }
      assert.strictEqual((yield* send("POST", path, { cookie, headers: own, body: { name: "ours" } })).status, 201)
    })
  )

  it.effect("gives each role what it may do and nothing more (ATH-03)", () =>
    Effect.gen(function* () {
      const { workflow, workspace } = yield* tenant()
      const below = `/api/v1/workspaces/${workspace}`
      const decision = { decision: "granted", action_hash: "a".repeat(64) }
      const decide = `${below}/workflows/${workflow}/approvals/${globalThis.crypto.randomUUID()}/decision`
      const statuses = (cookie: string) =>
        Effect.all([
          Effect.map(send("GET", `${below}/workflows`, { cookie }), ({ status }) => status),
          Effect.map(send("POST", decide, { cookie, body: decision }), ({ status }) => status),
          Effect.map(send("POST", `${below}/workflows/${workflow}/tokens`, { cookie }), ({ status }) => status)
        ])
      assert.deepStrictEqual(yield* statuses((yield* person(workspace, "viewer")).cookie), [200, 403, 403])
      assert.deepStrictEqual(yield* statuses((yield* person(workspace, "approver")).cookie), [200, 404, 403])
      assert.deepStrictEqual(yield* statuses((yield* person(workspace, "admin")).cookie), [200, 404, 201])
    })
  )
})

describe("Links and sessions", () => {
  const mails: Array<Mail> = []
  const stack = SignIn.layer.pipe(
    Layer.provideMerge(memoryStores),
    Layer.provide(Layer.succeed(PlatformSettings, platformDefaults)),
    Layer.provide(Layer.succeed(Mailer, Mailer.of({ send: (mail) => Effect.sync(() => void mails.push(mail)) })))
  )
  layer(stack)((it) => {
    it.effect("end after 15 minutes and after 8 hours (OQ-28, ATH-02)", () =>
      Effect.gen(function* () {
        const store = yield* WorkspaceStore
        const service = yield* SignIn.SignIn
        const [workspace, email] = [WorkspaceId.make("w"), Email.make("ann@example.org")]
        yield* store.create({ id: workspace, name: "W", tier: "free" }, 0)
        yield* store.putMember({ workspace, email, role: "viewer" }, 0)
        const token = Effect.map(service.link(email), (link) => Redacted.make(link?.split("#")[1] ?? ""))
        const late = yield* token
        yield* TestClock.adjust("15 minutes")
        assert.isNull(yield* service.redeem(late))
        const early = yield* token
        yield* TestClock.adjust("899 seconds")
        const signedIn = yield* service.redeem(early)
        assert.strictEqual(signedIn?.email, email)
        const session = signedIn?.session ?? Redacted.make("")
        yield* TestClock.adjust("479 minutes")
        assert.strictEqual(yield* service.whose(session), email)
        yield* TestClock.adjust("1 minute")
        assert.isNull(yield* service.whose(session))
        assert.isNull(yield* service.link(Email.make("nobody@example.org")))
      })
    )
  })

  it("are only taken from our own pages, or from what is no browser (ATH-08)", () => {
    const url = "https://governance.example.com"
    assert.isTrue(isSameOrigin({}, url))
    assert.isTrue(isSameOrigin({ origin: url, "sec-fetch-site": "same-origin" }, url))
    for (const origin of ["https://example.com", "http://governance.example.com", "null", `${url}.evil.example`]) {
      assert.isFalse(isSameOrigin({ origin }, url), origin)
    }
    assert.isFalse(isSameOrigin({ "sec-fetch-site": "cross-site" }, url))
    assert.isFalse(isSameOrigin({ origin: url, "sec-fetch-site": "same-site" }, url))
  })
})
