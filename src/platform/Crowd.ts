import { Effect, Layer, Random } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

/** Requests that a process works on at once. The pool takes them in the order in which they came. */
export const mostAtOnce = 64

/**
 * Turns away at the door, at once and for nothing, whoever would only wait until their time is over: work that nobody is
 * answered for is what makes a crowd of clients that come back together into a collapse (P-06). Every 503 says when to come
 * again, and not the same to all.
 */
export const layer = Layer.unwrap(
  Effect.sync(() => {
    let inside = 0
    const admitted = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
      Effect.suspend(() => {
        inside++
        return Effect.ensuring(
          app,
          Effect.sync(() => {
            inside--
          })
        )
      })

    return HttpRouter.middleware(
      (app) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
          inside >= mostAtOnce && url !== "/health" ? Effect.succeed(full) : admitted(app)
        ).pipe(Effect.flatMap(withRetryAfter)),
      { global: true }
    )
  })
)

const full = HttpServerResponse.jsonUnsafe({ error: "unavailable" }, { status: 503 })

const withRetryAfter = (response: HttpServerResponse.HttpServerResponse) =>
  response.status === 503
    ? Effect.map(Random.nextIntBetween(1, 8), (seconds) =>
        HttpServerResponse.setHeader(response, "retry-after", `${seconds}`)
      )
    : Effect.succeed(response)
