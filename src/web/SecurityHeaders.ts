import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

/** On every answer of our servers: no framing, no sniffing, no referrer, nothing cached, no script. A page may name its own by hash. */
export const layer = HttpRouter.middleware(
  (app) =>
    Effect.map(app, (response) =>
      HttpServerResponse.setHeaders(response, {
        "content-security-policy":
          response.headers["content-security-policy"] ??
          "default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store"
      })
    ),
  { global: true }
)
