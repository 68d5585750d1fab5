import { Data, Duration, Effect, Option, Redacted, Schema } from "effect"
import { instanceHeader, SeqOutOfOrder } from "../schema/BridgeWire.ts"
import type { Egress, EgressResponse } from "../services/Egress.ts"
import type { Latch } from "./Latch.ts"
import { type OwnServer, viaHeader } from "./OwnServer.ts"

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
  sender: { readonly instance: string; readonly own?: OwnServer }
): Transport => {
  const headers = {
    authorization: Redacted.make(`Bearer ${Redacted.value(token)}`),
    accept: "application/json",
    [instanceHeader]: sender.instance,
    ...(sender.own === undefined ? {} : { [viaHeader]: sender.own.via })
  }

  const judged = (url: string, asked: ReturnType<Egress["Service"]["get"]>): Effect.Effect<Answer> =>
    Effect.flatMap(latch.isSet, (latched) =>
      latched
        ? Effect.succeed(Answer.Disabled())
        : asked.pipe(
            Effect.tapError((error) => (isRedirect(error) ? stopLoop(url, 300, false) : Effect.void)),
            Effect.flatMap((response) => {
              const taken = response.status < 300 && isTaken(response.body)
              return Effect.andThen(stopLoop(url, response.status, taken), answerOf(response, taken, latch))
            }),
            Effect.catchTag("EgressFailed", ({ message }) => Effect.succeed(Answer.Failed({ problem: message }))),
            Effect.catchTag(["EgressRefused", "InvalidInput"], ({ message }) =>
              Effect.succeed(Answer.Refused({ problem: message }))
            )
          )
    )

  const stopLoop = (url: string, status: number, isJson: boolean) =>
    sender.own?.isLoop(url, status, isJson) === true ? latch.set("loop_detected", "") : Effect.void

  return {
    post: (url, body) =>
      judged(url, egress.post(url, { headers: { ...headers, "content-type": "application/json" }, body, timeout })),
    get: (url) => judged(url, egress.get(url, { headers, timeout }))
  }
}

const isRedirect = (error: { readonly _tag: string; readonly problem?: unknown }): boolean =>
  error._tag === "EgressFailed" && error.problem === "redirect"

/** A page of whatever stands where the platform should has taken nothing. */
const isTaken = (body: string): boolean => body.trim() === "" || Option.isSome(decodeJson(body))

const timeout = Duration.seconds(10)

const answerOf = (
  { body, retryAfter, status }: EgressResponse,
  taken: boolean,
  latch: Latch
): Effect.Effect<Answer> => {
  if (status >= 200 && status < 300) {
    return Effect.succeed(
      taken
        ? Answer.Taken({ body })
        : Answer.Failed({ problem: `${status} and no JSON: this is not a platform's route` })
    )
  }
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

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))
const decodeOutOfOrder = Schema.decodeUnknownOption(Schema.fromJsonString(SeqOutOfOrder))
