import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, type HttpClientResponse, HttpServer } from "effect/http"
import type { Database } from "../../src/layers/postgres/Database.ts"
import { type Mail, Mailer } from "../../src/platform/Mailer.ts"
import { PlatformSettings, platformDefaults } from "../../src/platform/PlatformSettings.ts"
import { type PlatformLimits, platformLimits } from "../../src/platform/RateLimits.ts"
import * as Server from "../../src/platform/Server.ts"
import { newToken } from "../../src/platform/WorkflowToken.ts"
import { Email, type MemberRole, type Tier, WorkflowId, WorkspaceId } from "../../src/schema/Workspace.ts"
import { WorkspaceStore } from "../../src/services/WorkspaceStore.ts"
import { postgresStores, stores } from "./Stores.ts"

export const upgradeUrl = "https://platform.example/upgrade"

export const settings = Layer.succeed(PlatformSettings, { ...platformDefaults, upgradeUrl })

/** A platform on Postgres, on a port of its own on loopback, with an `HttpClient` that points at it. */
/** What was mailed, to be looked at. */
export class Mails extends Context.Service<Mails, Array<Mail>>()("test/Mails") {}
const mailer = Layer.effect(
  Mailer,
  Effect.map(Mails, (mails) => Mailer.of({ send: (mail) => Effect.sync(() => void mails.push(mail)) }))
).pipe(Layer.provideMerge(Layer.sync(Mails, () => [])))

const loopback = HttpServer.layerTestClient.pipe(
  Layer.provide(FetchHttpClient.layer),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

const over = (limits?: PlatformLimits) =>
  Server.serveWith(limits).pipe(
    Layer.provideMerge(Layer.mergeAll(postgresStores, settings, mailer)),
    Layer.provideMerge(loopback)
  )

export const platform = over()

/** The same, which knows its own address: for browsers, who say where they come from. */
export const platformAtItself = Server.serveWith().pipe(
  Layer.provideMerge(
    Layer.effect(
      PlatformSettings,
      HttpServer.addressFormattedWith((publicUrl) => Effect.succeed({ ...platformDefaults, publicUrl }))
    )
  ),
  Layer.provideMerge(Layer.mergeAll(postgresStores, mailer)),
  Layer.provideMerge(loopback)
)

/** The same over stores that are given. */
export const platformOver = <R, E, R2>(given: Layer.Layer<R, E, R2>) =>
  Server.serveWith(generous).pipe(
    Layer.provideMerge(Layer.mergeAll(given, settings, mailer)),
    Layer.provideMerge(loopback)
  )

const endless = { limit: 1_000_000_000, windowMs: 60_000 }

/** The same for tests that come more often than anybody should. */
const generous: PlatformLimits = {
  events: endless,
  gates: endless,
  strangers: endless,
  linksByIp: endless,
  linksByEmail: endless,
  people: endless
}
export const generousPlatform = over(generous)

/** The same with limits that are reached at once. */
export const narrowPlatform = over({
  ...platformLimits,
  events: { limit: 3, windowMs: 60_000 },
  gates: { limit: 2, windowMs: 60_000 },
  strangers: { limit: 4, windowMs: 60_000 }
})

/** The same on a database that may not be there. */
export const unreachablePlatform = (database: Layer.Layer<Database>) =>
  Server.serveWith().pipe(
    Layer.provideMerge(Layer.mergeAll(stores, settings, mailer)),
    Layer.provideMerge(loopback),
    Layer.provide(database)
  )

let made = 0
const run = globalThis.crypto.randomUUID().slice(0, 8)

/** A workspace of its own with one workflow and its token. */
export const tenant = Effect.fnUntraced(function* (tier: Tier = "enterprise") {
  const store = yield* WorkspaceStore
  const workspace = WorkspaceId.make(`tenant-${run}-${++made}`)
  const workflow = WorkflowId.make(`flow-${run}-${made}`)
  yield* store.create({ id: workspace, name: "Tenant", tier }, 0)
  const { row, secret } = yield* newToken(0)
  yield* store.createWorkflow({ workspace, workflow, name: "production", createdMs: 0 }, row)
  return { workspace, workflow, token: Redacted.value(secret), tokenId: row.token }
})

/** Somebody of a workspace, signed in: the cookie of their session. */
export const person = Effect.fnUntraced(function* (workspace: WorkspaceId, role: MemberRole) {
  const email = Email.make(`person-${run}-${++made}@example.org`)
  yield* (yield* WorkspaceStore).putMember({ workspace, email, role }, 0)
  yield* send("POST", "/api/v1/sign-in/links", { body: { email } })
  const cookie = yield* signIn(email)
  return { email, cookie }
})

/** Follows the link in the last mail. */
export const signIn = Effect.fnUntraced(function* (email: string) {
  const answer = yield* send("POST", "/api/v1/sign-in/sessions", { body: { token: yield* mailedToken(email) } })
  return String(answer.headers["set-cookie"]).split(";")[0] ?? ""
})

export const mailedToken = Effect.fnUntraced(function* (email: string) {
  const mails = yield* Mails
  yield* Effect.sleep("20 millis").pipe(
    Effect.repeat({ until: () => mails.some(({ to }) => to === email), times: 100 })
  )
  return /#(ml_\S+)/.exec(mails.findLast(({ to }) => to === email)?.text ?? "")?.[1] ?? ""
})

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers: HttpClientResponse.HttpClientResponse["headers"]
}

export interface Sent {
  readonly token?: string | undefined
  readonly cookie?: string | undefined
  readonly headers?: Record<string, string>
  readonly body?: unknown
  /** Sent as it is. */
  readonly text?: string
}

/** One request over real HTTP. */
export const send = Effect.fnUntraced(function* (
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  sent: Sent = {}
) {
  const client = yield* HttpClient.HttpClient
  const text = sent.text ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body))
  const request = HttpClientRequest.make(method)(path, {
    headers: {
      ...(sent.token === undefined ? {} : { authorization: `Bearer ${sent.token}` }),
      ...(sent.cookie === undefined ? {} : { cookie: sent.cookie }),
      ...sent.headers
    }
  })
  const response = yield* client.execute(
    text === undefined ? request : HttpClientRequest.bodyText(request, text, "application/json")
  )
  const body = yield* response.text
  const parsed: unknown = /json/.test(response.headers["content-type"] ?? "") ? JSON.parse(body) : body
  const answer: Answer = { status: response.status, body: parsed, headers: response.headers }
  return answer
})
