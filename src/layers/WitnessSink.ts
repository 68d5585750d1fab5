import { Clock, Duration, Effect, Option, Redacted, Result, Schema } from "effect"
import { Hex } from "effect/encoding"
import { WitnessHead } from "../schema/BridgeWire.ts"
import { originOf, parseCheckpoint } from "../schema/Checkpoint.ts"
import type { LogEntry } from "../schema/CheckpointEntry.ts"
import { CheckpointSinkError } from "../schema/CheckpointError.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import { formatVerifierKey } from "../schema/SignedNote.ts"
import { WitnessProblem } from "../schema/WitnessVerdict.ts"
import { CheckpointKey, noteCrypto, sha256 } from "../services/CheckpointKey.ts"
import type { CheckpointWitness, SinkHead, WitnessStanding } from "../services/CheckpointSink.ts"
import { CheckpointStore } from "../services/CheckpointStore.ts"
import type { EgressResponse } from "../services/Egress.ts"
import * as PlatformConnection from "../services/PlatformConnection.ts"
import { isByOurKey } from "../services/WitnessHandOver.ts"
import { pieces } from "./WitnessPieces.ts"

/** What it is called wherever it is spoken of: the host alone. */
export const nameOf = ({ platform }: Pick<GovernanceConfig, "platform">): string =>
  `witness ${URL.parse(platform.ingestUrl ?? "")?.host ?? ""}`.trim()

/**
 * A platform as the witness of this log (BEY-04, P-04): it is given every checkpoint since the last that it has accepted, through
 * the guard of all requests and with the workflow's token. What it keeps is not ours to change, so a database that went back is
 * noticed there, whatever the rest of this machine says. While it does not answer nobody waits for it.
 */
export const make = Effect.fnUntraced(function* (settings: Pick<GovernanceConfig, "egress" | "platform">) {
  const { egress, routes, token } = yield* PlatformConnection.make(settings)
  const { signing } = yield* CheckpointKey
  const store = yield* CheckpointStore
  const name = nameOf(settings)
  const headers = { authorization: Redacted.make(`Bearer ${Redacted.value(token)}`), accept: "application/json" }
  const postHeaders = { ...headers, "content-type": "application/json" }
  let restUntilMs = Number.NEGATIVE_INFINITY
  let reported = ""

  const failed = (problem: CheckpointSinkError["problem"], refusal?: WitnessProblem) =>
    new CheckpointSinkError({ sink: name, problem, ...(refusal === undefined ? {} : { refusal }) })

  /** Somebody who does not answer is left alone for a while: a round that signs MUST NOT wait for them again and again. */
  const asked = (request: ReturnType<typeof egress.get>) =>
    Effect.gen(function* () {
      if ((yield* Clock.currentTimeMillis) < restUntilMs) return yield* failed("unreachable")
      const response = yield* Effect.result(request)
      if (Result.isSuccess(response) && response.success.status < 500 && response.success.status !== 429) {
        restUntilMs = Number.NEGATIVE_INFINITY
        return response.success
      }
      restUntilMs = (yield* Clock.currentTimeMillis) + restMs
      return yield* failed("unreachable")
    })

  /** The body of a good answer; null where it holds another state than we believed, which whoever asks looks at again. */
  const judged = Effect.fnUntraced(function* ({ body, status }: EgressResponse) {
    if (status >= 200 && status < 300) return body
    if (status === 409) return null
    if (status === 401 || status === 402 || status === 403) return yield* failed("unauthorized")
    const refusal = status === 422 ? Option.getOrUndefined(decodeRefusal(body))?.problem : undefined
    return yield* failed(status === 422 || status === 404 ? "refused" : "unusable", refusal)
  })

  const post = (url: string, body: unknown) =>
    Effect.flatMap(
      asked(egress.post(url, { headers: postHeaders, body: JSON.stringify(body), timeout: postTimeout })),
      judged
    )

  const verifierKeyOf = (note: string) => {
    const origin = Result.getOrUndefined(parseCheckpoint(note))?.body.origin
    return origin === undefined || signing === null
      ? Effect.fail(failed("unwritable"))
      : Effect.succeed(formatVerifierKey({ name: origin, publicKey: signing.publicKey }, sha256))
  }

  const isOurs = (note: string): boolean => signing !== null && isByOurKey(note, { key: signing, crypto: noteCrypto })

  const standing: Effect.Effect<WitnessStanding, CheckpointSinkError> = Effect.gen(function* () {
    const origin = originOf(yield* Effect.mapError(store.deploymentId, () => failed("unreadable")))
    const url = `${routes.witness}?origin=${encodeURIComponent(origin)}`
    const body = yield* Effect.flatMap(asked(egress.get(url, { headers, timeout: headTimeout })), judged)
    const found = body === null ? undefined : Option.getOrUndefined(decodeHead(body))
    if (found === undefined) return yield* failed("unusable")
    const alarm = found.alarm === null ? null : { problem: found.alarm.problem, seenMs: found.alarm.seen_ms }
    if (found.log !== null) return { head: yield* headOf(found.log.note, found.log.size), alarm }
    // Our key has signed a log of another name there, and that log is gone from here.
    const other = found.others.find(isOurs)
    return { head: other === undefined ? null : yield* headOf(other, undefined), alarm }
  })

  /** A number that a note does not bear out is none of ours to believe. */
  const headOf = (note: string, size: number | undefined): Effect.Effect<SinkHead, CheckpointSinkError> => {
    if (size === 0) return Effect.succeed({ size, note: null, adoptions: [], damaged: false })
    const claimed = Result.getOrUndefined(parseCheckpoint(note))?.body.size
    return claimed === undefined || (size !== undefined && size !== claimed)
      ? Effect.fail(failed("unusable"))
      : Effect.succeed({ size: claimed, note, adoptions: [], damaged: false })
  }

  const show = Effect.fnUntraced(function* (note: string, oldSize: number, leaves: ReadonlyArray<object>) {
    const verifierKey = yield* verifierKeyOf(note)
    return yield* post(routes.witness, { note, verifier_key: verifierKey, old_size: oldSize, leaves })
  })

  return {
    name,
    standing,
    head: Effect.map(standing, ({ head }) => head),
    append: Effect.fnUntraced(function* (entries: ReadonlyArray<LogEntry>) {
      // 409: somebody else of this deployment was faster. Whoever hands over looks again.
      for (const { leaves, note, oldSize } of pieces(entries)) {
        if ((yield* show(note, oldSize, leaves)) === null) return
      }
    }),
    begin: Effect.fnUntraced(function* (note: string, peaks: ReadonlyArray<Uint8Array>) {
      const shown = {
        note,
        verifier_key: yield* verifierKeyOf(note),
        old_size: 0,
        peaks: peaks.map((one) => Hex.encode(one))
      }
      yield* post(routes.witness, shown)
    }),
    report: Effect.fnUntraced(function* (note: string, head: SinkHead) {
      if (reported === note) return
      yield* Effect.catchIf(
        show(note, head.size, []),
        ({ problem }) => problem === "refused",
        () => Effect.void
      )
      reported = note
    }),
    answer: ({ checkpoint, peaks, statement }) =>
      Effect.asVoid(
        post(routes.witnessAdoptions, { statement, checkpoint, peaks: peaks.map((peak) => Hex.encode(peak)) })
      )
  } satisfies CheckpointWitness
})

/** In the place of one whose settings cannot be used, for commands: most of them have other things to do. */
export const unusable = (settings: Pick<GovernanceConfig, "platform">): CheckpointWitness => {
  const problem = Effect.fail(new CheckpointSinkError({ sink: nameOf(settings), problem: "unusable" }))
  const name = nameOf(settings)
  return {
    name,
    standing: problem,
    head: problem,
    append: () => problem,
    begin: () => problem,
    report: () => problem,
    answer: () => problem
  }
}

const decodeHead = Schema.decodeUnknownOption(Schema.fromJsonString(WitnessHead))
const decodeRefusal = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ problem: WitnessProblem })))

const headTimeout = Duration.seconds(3)
const postTimeout = Duration.seconds(10)
const restMs = 30_000
