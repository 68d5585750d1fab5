import { Effect, Layer } from "effect"
import type { Email } from "../../schema/Workspace.ts"
import { SignInStore } from "../../services/SignInStore.ts"
import { WorkspaceStore } from "../../services/WorkspaceStore.ts"

interface Kept {
  readonly email: Email
  readonly expiresMs: number
}

/** Sessions that are gone with the process. */
export const make = Effect.gen(function* () {
  const workspaces = yield* WorkspaceStore
  const links = new Map<string, Kept>()
  const sessions = new Map<string, Kept>()

  return SignInStore.of({
    issue: ({ digest, email, expiresMs }) =>
      Effect.map(workspaces.memberships(email), (memberships) => {
        if (memberships.length > 0) links.set(digest, { email, expiresMs })
        return memberships.length > 0
      }),
    redeem: (digest, session, nowMs) =>
      Effect.sync(() => {
        const link = links.get(digest)
        if (link === undefined || link.expiresMs <= nowMs) return null
        links.delete(digest)
        sessions.set(session.digest, { email: link.email, expiresMs: session.expiresMs })
        return link.email
      }),
    session: (digest, nowMs) =>
      Effect.sync(() => {
        const found = sessions.get(digest)
        return found === undefined || found.expiresMs <= nowMs ? null : found.email
      }),
    end: (digest) => Effect.sync(() => sessions.delete(digest)),
    endAll: (email) =>
      Effect.sync(() => {
        const own = [...sessions].filter(([, session]) => session.email === email)
        for (const [digest] of own) sessions.delete(digest)
        return own.length
      })
  })
})

export const layer = Layer.effect(SignInStore, make)
