import { Clock, Data, Duration, Effect, Layer, Redacted, Schedule, Semaphore } from "effect"
import { Hex } from "effect/encoding"
import { noticeKinds, noticeOf, noticeText } from "../schema/ApprovalNotice.ts"
import { recordOf } from "../schema/AuditReading.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import { Audit } from "./Audit.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { Egress, type EgressResponse } from "./Egress.ts"
import * as LogReader from "./LogReader.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { Settings } from "./Settings.ts"
import { secretProblem, signerOf } from "./WebhookSigner.ts"

/**
 * Tells the configured receivers of approvals that are requested, granted, denied or have expired (BEY-10): read from the
 * log, so that none is forgotten, and signed as Standard Webhooks are, so that a receiver can tell us from others and one
 * notice from its repetition. Fails for a URL or a secret that cannot be used; after that nothing it meets reaches the host.
 */
export const make = Effect.gen(function* () {
  const { approvalWebhooks } = yield* Settings
  for (const [i, webhook] of approvalWebhooks.entries()) {
    const tellAll = yield* courier(webhook, `approvalWebhooks[${i}]`)
    // At once: what the host logs right after its start belongs to a new reader's present.
    yield* Effect.forkScoped(tellAll, { startImmediately: true })
  }
})

export const layer = Layer.effectDiscard(make).pipe(Layer.provide(PooledRandom.layer))

/** What keeps one receiver told. Each has its own cursor and its own lease: one that is down holds up no other. */
const courier = Effect.fnUntraced(function* (config: GovernanceConfig["approvalWebhooks"][number], setting: string) {
  const audit = yield* Audit
  const egress = yield* Egress
  const keys = yield* ChainKeys
  const url = Redacted.value(config.url)
  const signer = signerOf(config.secret)
  if (signer === null) return yield* new ConfigurationError({ setting: `${setting}.secret`, problem: secretProblem })
  yield* Effect.catchTag(egress.check(url), "EgressRefused", ({ message }) =>
    Effect.fail(new ConfigurationError({ setting: `${setting}.url`, problem: message }))
  )
  const host = new URL(url).host
  const places = Semaphore.makeUnsafe(maxAtOnce)

  const attempt = Effect.fnUntraced(function* (row: ChainRow, body: string) {
    const nowMs = yield* Clock.currentTimeMillis
    const seconds = Math.floor(nowMs / 1000)
    const headers = { "content-type": "application/json", ...signer.standard(row.id, seconds, body) }
    const response = yield* egress.post(url, { headers, body }).pipe(
      places.withPermit,
      Effect.mapError((error) => {
        const again = error._tag === "EgressRefused" || (error._tag === "EgressFailed" && error.problem !== "redirect")
        return new NotTold({ problem: error.message, again, waitMs: 0 })
      })
    )
    if (response.status >= 300) return yield* refusal(response)
  })

  const tell = (row: ChainRow) =>
    Effect.suspend(() => {
      const notice = noticeOf(recordOf(row))
      if (notice === null || !(config.agents ?? [row.agent]).includes(row.agent)) return Effect.void
      const told = attempt(row, noticeText(notice)).pipe(
        Effect.retry({ while: ({ again }) => again, schedule: patience }),
        Effect.catchTag("NotTold", ({ problem }) => park(row, notice.type, problem))
      )
      return Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
        nowMs - row.atMs < maxAgeMs ? told : Effect.logInfo("approval.notice_too_old", { host, event: row.id })
      )
    })

  /** A notice that cannot be delivered stands in the log and lets the others pass. */
  const park = (row: ChainRow, type: string, problem: string) =>
    Effect.andThen(
      Effect.logWarning("approval.notice_parked", { host, event: row.id, type, problem }),
      audit.note({
        kind: "approval.notice_parked",
        agentId: row.agent,
        sessionId: row.session ?? undefined,
        parentEventId: row.id,
        metadata: { host, type, problem }
      })
    )

  // Processes that tell the same place of other agents are other readers: none may skip what another one would have told.
  const told = JSON.stringify([url, config.agents === null ? null : [...config.agents].sort()])
  const reader = `approval-webhook/${Hex.encode(keys.hash(told)).slice(0, 16)}`
  return LogReader.drain({ reader, kinds, handle: tell }).pipe(Effect.annotateLogs({ webhook: host }))
})

/** An attempt that failed. `again`: the same request may do better later, `waitMs` from now at the earliest. */
class NotTold extends Data.TaggedError("NotTold")<{
  readonly problem: string
  readonly again: boolean
  readonly waitMs: number
}> {}

const kinds: ReadonlySet<string> = new Set(noticeKinds)

/** Requests under way to one receiver. */
const maxAtOnce = 8
/** Whoever has been away for longer is not told: what was asked then has expired. */
const maxAgeMs = 24 * 3_600_000

const refusal = ({ retryAfter, status }: EgressResponse) =>
  new NotTold({
    problem: `the receiver answered ${status}`,
    again: status >= 500 || status === 408 || status === 425 || status === 429,
    waitMs: retryAfter === null ? 0 : Duration.toMillis(retryAfter)
  })

/** A second, two, four ... a minute, for a quarter of an hour; longer between two when the receiver asks for it. */
const patience = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]).pipe(
  Schedule.setInputType<NotTold>(),
  Schedule.upTo({ duration: "15 minutes" }),
  Schedule.jittered,
  Schedule.modifyDelay(({ duration, input }) => Effect.succeed(Duration.max(duration, Duration.millis(input.waitMs))))
)
