import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { randomOf } from "../schema/SecretKinds.ts"
import { type Document, valueOf } from "./Fuzz.ts"
import { person, platformOver, send, tenant } from "./Serving.ts"
import { database, platformDatabase } from "./Stores.ts"
import { rewritten, type Said } from "./Tenants.ts"

const said: Said = { texts: new Set(), changed: 0 }
const recorded = platformOver(
  rewritten(said, (text) => text).pipe(Layer.provide(database), Layer.provideMerge(platformDatabase))
)

/** What sqlmap tries first, and what our own statements could trip over. */
const attacks = [
  "' OR '1'='1",
  "' OR 1=1 --",
  "1; DROP TABLE governance_platform.governance_events; --",
  "'; SELECT pg_sleep(30); --",
  '" OR ""="',
  "') UNION SELECT digest FROM governance_platform.governance_tokens --",
  "1 AND (SELECT 1 FROM pg_sleep(30))",
  "%",
  "_%",
  "\\",
  "\\'; --",
  "ʼ OR 1=1 --",
  "$1",
  "$$; SELECT 1; $$",
  "{{schema}}",
  "$prefix",
  "E'\\x27'",
  "position DESC; --",
  "agent->>'a' = 'b'",
  "null",
  "NaN",
  "1e309",
  "-1",
  "9223372036854775808",
  "\u0000",
  "\u202e"
]

layer(recorded, { excludeTestServices: true, timeout: "240 seconds" })("The platform's parameters", (it) => {
  const world = Effect.gen(function* () {
    const [own, other] = [yield* tenant(), yield* tenant()]
    const { cookie } = yield* person(own.workspace, "admin")
    const post = (token: string, seq: number, agent: string) =>
      send("POST", "/api/v1/ingest/events", {
        token,
        body: {
          seq,
          event_id: globalThis.crypto.randomUUID(),
          event_type: "tool.call",
          agent_id: agent,
          session_id: agent,
          created_at: "2026-01-01T00:00:00.000Z",
          metadata: { agent },
          sdk_version: "0.1.0"
        }
      })
    for (const seq of [1, 2, 3]) {
      assert.strictEqual((yield* post(own.token, seq, "own")).status, 200)
      assert.strictEqual((yield* post(other.token, seq, "canary")).status, 200)
    }
    return { own, other, cookie }
  })

  it.effect("never become SQL: the same few statements whatever is asked, and nothing of the other tenant (P-10)", () =>
    Effect.gen(function* () {
      const { cookie, own } = yield* world
      const { body } = yield* send("GET", "/openapi.json")
      const document = body as Document
      const random = randomOf(20261121)
      const good: Record<string, string> = {
        workspace: own.workspace,
        workflow: own.workflow,
        email: "ann@example.org"
      }
      let tried = 0
      const each = Effect.fnUntraced(function* (attack: string | null) {
        for (const [path, methods] of Object.entries(document.paths)) {
          for (const [method, operation] of Object.entries(methods)) {
            if (path.endsWith("/session")) continue
            const parameters = operation.parameters ?? []
            const usual = (name: string) =>
              good[name] ??
              String(valueOf(parameters.find((one) => one.name === name)?.schema ?? {}, document, random, 0))
            const schema = operation.requestBody?.content["application/json"]?.schema
            // One parameter at a time, so that the others lead to the statement.
            for (const target of attack === null ? [null] : parameters.filter((one) => one.in !== "header")) {
              const value = (name: string) => (target?.name === name ? (attack ?? "") : usual(name))
              const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(value(name)) || "x")
              const query = parameters
                .filter((one) => one.in === "query" && (attack === null || one === target))
                .map(({ name }) => `${name}=${encodeURIComponent(value(name))}`)
                .join("&")
              const answer = yield* send(method.toUpperCase() as "GET", `${filled}?${query}`, {
                cookie,
                token: own.token,
                ...(schema === undefined ? {} : { body: valueOf(schema, document, random, 0) })
              })
              const where = `${method} ${filled}?${query}: ${answer.status}`
              assert.isBelow(answer.status, 500, where)
              assert.notInclude(JSON.stringify(answer.body), "canary", where)
              tried++
            }
          }
        }
      })
      yield* each(null)
      // Both directions of a timeline are usual.
      for (const way of ["?after=start", ""]) {
        yield* send("GET", `/api/v1/workspaces/${own.workspace}/workflows/${own.workflow}/timeline${way}`, { cookie })
      }
      const usual = new Set(said.texts)
      assert.isAtLeast(usual.size, 20)
      for (const attack of attacks) yield* each(attack)
      assert.isAtLeast(tried, 500)
      assert.deepStrictEqual(
        [...said.texts].filter((text) => !usual.has(text)),
        []
      )
      const found = yield* send(
        "GET",
        `/api/v1/workspaces/${own.workspace}/workflows/${own.workflow}/timeline?agent=own`,
        { cookie }
      )
      assert.lengthOf(found.body as ReadonlyArray<unknown>, 3)
    })
  )

  it.effect("take no cursor but their own: changed, made up, or another tenant's is 400 (P-10, P-09)", () =>
    Effect.gen(function* () {
      const { cookie, other, own } = yield* world
      const theirs = yield* person(other.workspace, "viewer")
      const timeline = (place: typeof own, query: string, who = cookie) =>
        send("GET", `/api/v1/workspaces/${place.workspace}/workflows/${place.workflow}/timeline${query}`, {
          cookie: who
        })
      const cursorsOf = (answer: { body: unknown }) =>
        (answer.body as ReadonlyArray<{ cursor: string }>).map((one) => one.cursor)
      const [newest = "", middle = "", oldest = ""] = cursorsOf(yield* timeline(own, ""))
      assert.deepStrictEqual(cursorsOf(yield* timeline(own, `?before=${newest}`)), [middle, oldest])
      assert.deepStrictEqual(cursorsOf(yield* timeline(own, `?after=${middle}`)), [newest])

      const [foreign = ""] = cursorsOf(yield* timeline(other, "", theirs.cookie))
      const [place, mac = ""] = middle.split(".")
      const changed = [...mac].map((_, i) => {
        const letter = mac[i] === "A" ? "B" : "A"
        return `${place}.${mac.slice(0, i)}${letter}${mac.slice(i + 1)}`
      })
      const forged = [
        foreign,
        `3.${mac}`,
        `02.${mac}`,
        `${place}.`,
        mac,
        place ?? "",
        `${middle}A`,
        `-2.${mac}`,
        "0",
        ...changed
      ]
      for (const cursor of forged) {
        for (const way of ["before", "after"]) {
          const answer = yield* timeline(own, `?${way}=${encodeURIComponent(cursor)}`)
          assert.deepStrictEqual([answer.status, answer.body], [400, { error: "invalid" }], `${way} ${cursor}`)
        }
      }
    })
  )
})
