import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { apiPath } from "../BridgeWire.ts"
import { Email } from "../Workspace.ts"
import { Forbidden, RateLimited, Unauthorized, Unavailable } from "./Refusals.ts"

/** Signing in without a password (PLT-01). */
export const SignInApi = HttpApiGroup.make("signIn")
  .add(
    // The answer is the same for every address (ATH-05).
    HttpApiEndpoint.post("link", "/sign-in/links", {
      payload: Schema.Struct({ email: Email }),
      success: HttpApiSchema.Accepted,
      error: [Forbidden, RateLimited, Unavailable]
    })
  )
  .add(
    HttpApiEndpoint.post("redeem", "/sign-in/sessions", {
      payload: Schema.Struct({ token: Schema.String.check(Schema.isPattern(/^ml_[A-Za-z0-9_-]{43}$/u)) }),
      success: Schema.Struct({ email: Email }),
      error: [Unauthorized, Forbidden, RateLimited, Unavailable]
    })
  )
  .prefix(apiPath)
