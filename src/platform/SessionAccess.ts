import { Effect, Layer, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { CurrentPerson, SessionAccess } from "../schema/api/SessionAccess.ts"
import { isSameOrigin } from "../web/SameOrigin.ts"
import { PlatformSettings } from "./PlatformSettings.ts"
import { RateLimits } from "./RateLimits.ts"
import { SignIn } from "./SignIn.ts"
import * as Stranger from "./Stranger.ts"
import { logged } from "./Unavailable.ts"

/** Finds the person of a session at each request anew: a session that was ended ends at once. */
export const layer = Layer.effect(
  SessionAccess,
  Effect.gen(function* () {
    const signIn = yield* SignIn
    const limits = yield* RateLimits
    const settings = yield* PlatformSettings
    const stranger = yield* Stranger.make

    return SessionAccess.of({
      session: Effect.fnUntraced(function* (handler, { credential }) {
        const request = yield* HttpServerRequest.HttpServerRequest
        if (!/^ss_[A-Za-z0-9_-]{43}$/.test(Redacted.value(credential))) return yield* stranger
        const email = yield* logged(signIn.whose(credential))
        if (email === null) return yield* stranger
        if (request.method !== "GET" && !isSameOrigin(request.headers, settings.publicUrl)) {
          return yield* Effect.fail({ error: "forbidden" } as const)
        }
        yield* limits.count("people", email)
        return yield* Effect.provideService(handler, CurrentPerson, { email })
      })
    })
  })
)
