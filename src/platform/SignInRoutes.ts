import { DateTime, Effect, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { PlatformApi } from "../schema/api/PlatformApi.ts"
import { sessionCookie } from "../schema/api/SessionAccess.ts"
import { isSameOrigin } from "../web/SameOrigin.ts"
import { PlatformSettings } from "./PlatformSettings.ts"
import { clientAddress, RateLimits } from "./RateLimits.ts"
import { SignIn } from "./SignIn.ts"
import { logged } from "./Unavailable.ts"

/** Asking for a link, and using it. */
export const layer = HttpApiBuilder.group(
  PlatformApi,
  "signIn",
  Effect.fnUntraced(function* (handlers) {
    const signIn = yield* SignIn
    const limits = yield* RateLimits
    const settings = yield* PlatformSettings
    const address = Effect.provideService(clientAddress, PlatformSettings, settings)

    // A page of another site must neither send mails in somebody's name nor sign them in as somebody else.
    const fromHere = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      isSameOrigin(headers, settings.publicUrl) ? Effect.void : Effect.fail({ error: "forbidden" } as const)
    )

    return handlers
      .handle(
        "link",
        Effect.fnUntraced(function* ({ payload }) {
          yield* fromHere
          yield* limits.count("linksByIp", yield* address)
          yield* limits.count("linksByEmail", payload.email)
          yield* logged(signIn.ask(payload.email))
        })
      )
      .handle(
        "redeem",
        Effect.fnUntraced(function* ({ payload }) {
          yield* fromHere
          yield* limits.count("strangers", yield* address)
          const signedIn = yield* logged(signIn.redeem(Redacted.make(payload.token)))
          if (signedIn === null) return yield* Effect.fail({ error: "unauthorized" } as const)
          yield* HttpApiBuilder.securitySetCookie(sessionCookie, signedIn.session, {
            secure: settings.publicUrl.startsWith("https:"),
            sameSite: "lax",
            path: "/",
            expires: DateTime.toDateUtc(DateTime.makeUnsafe(signedIn.expiresMs))
          })
          return { email: signedIn.email }
        })
      )
  })
)
