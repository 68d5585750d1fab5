import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import type { Email } from "../Workspace.ts"
import { Forbidden, RateLimited, Unauthorized, Unavailable } from "./Refusals.ts"

/** The person who is signed in. */
export class CurrentPerson extends Context.Service<CurrentPerson, { readonly email: Email }>()(
  "effect-governance/schema/api/CurrentPerson"
) {}

export const sessionCookie = HttpApiSecurity.apiKey({ in: "cookie", key: "governance_platform" })

/** Lets people in, by the cookie of their session. What changes anything must come from our own pages (ATH-08). */
export class SessionAccess extends HttpApiMiddleware.Service<SessionAccess, { provides: CurrentPerson }>()(
  "effect-governance/schema/api/SessionAccess",
  { error: [Unauthorized, Forbidden, RateLimited, Unavailable], security: { session: sessionCookie } }
) {}
