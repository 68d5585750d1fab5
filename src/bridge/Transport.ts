import { Data, Duration, Effect, Option, Redacted, Schema } from "effect"
import { instanceHeader, SeqOutOfOrder } from "../schema/BridgeWire.ts"
import type { Egress, EgressResponse } from "../services/Egress.ts"
import type { Latch } from "./Latch.ts"

/** What an answer means, whatever the route (BRG-07). A latched bridge answers `Disabled` by itself. */
export type Answer = Data.TaggedEnum<{
  Taken: { readonly body: string }
  Disabled: Record<never, never>
  TooMany: { readonly retryAfter: Duration.Duration | null }
  OutOfOrder: { readonly expectedSeq: number }
  Rejected: { readonly status: number }
  /** 5xx, a redirect, or no answer that could be read. */
  Failed: { readonly problem: string }
  /** Nothing was sent: the guard refused. */
  Refused: { readonly problem: string }
}>
export const Answer = Data.taggedEnum<Answer>()

export interface Transport {
  readonly post: (url: string, body: string) => Effect.Effect<Answer>
  readonly get: (url: string) => Effect.Effect<Answer>
}

/** Requests to one platform under one token. Never fails, and latches on whatever route says 401 or 402. */
export const make = (
  egress: Egress["Service"],
  latch: Latch,
  token: Redacted.Redacted<string>,
  instance: string
): Transport => {
  const headers = {
    authorization: Redacted.make(`Bearer ${Redacted.value(token)}`),
    accept: "application/json",
    [instanceHeader]: instance
  }

  const judged = (asked: ReturnType<Egress["Service"]["get"]>): Effect.Effect<Answer> =>
    Effect.flatMap(latch.isSet, (latched) =>
      latched
        ? Effect.succeed(Answer.Disabled())
        : Effect.flatMap(asked, (response) => answerOf(response, latch)).pipe(
            Effect.catchTag("EgressFailed", ({ message }) => Effect.succeed(Answer.Failed({ problem: message }))),
            Effect.catchTag(["EgressRefused", "InvalidInput"], ({ message }) =>
              Effect.succeed(Answer.Refused({ problem: message }))
            )
          )
    )

  return {
    post: (url, body) =>
      judged(egress.post(url, { headers: { ...headers, "content-type": "application/json" }, body, timeout })),
    get: (url) => judged(egress.get(url, { headers, timeout }))
  }
}

const timeout = Duration.seconds(10)

const answerOf = ({ body, retryAfter, status }: EgressResponse, latch: Latch): Effect.Effect<Answer> => {
  if (status >= 200 && status < 300) return Effect.succeed(Answer.Taken({ body }))
  if (status === 401) return Effect.as(latch.set("auth_failed", body), Answer.Disabled())
  if (status === 402) return Effect.as(latch.set("tier_not_entitled", body), Answer.Disabled())
  if (status === 429) return Effect.succeed(Answer.TooMany({ retryAfter }))
  const expected = status === 409 ? Option.getOrUndefined(decodeOutOfOrder(body)) : undefined
  if (expected !== undefined) return Effect.succeed(Answer.OutOfOrder({ expectedSeq: expected.expected_seq }))
  return Effect.succeed(
    status >= 400 && status < 500
      ? Answer.Rejected({ status })
      : Answer.Failed({ problem: `the platform answered ${status}` })
  )
}

const decodeOutOfOrder = Schema.decodeUnknownOption(Schema.fromJsonString(SeqOutOfOrder))
