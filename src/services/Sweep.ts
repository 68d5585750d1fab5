import { Context, Effect, Layer, Option, Result, Schema } from "effect"
import type { ExpiredTicket, Settlement } from "../schema/Call.ts"
import type { ChainRow } from "../schema/Envelope.ts"
import { chainOf } from "../schema/Ids.ts"
import { formatUsd, parseUsd } from "../schema/Money.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { AdmissionStore } from "./AdmissionStore.ts"
import { Audit } from "./Audit.ts"
import { AuditStore } from "./AuditStore.ts"
import { Evidence } from "./Evidence.ts"
import { GateRoom } from "./GateRoom.ts"

export interface Swept {
  /** Calls whose outcome was in the chain all along: only their settlement had been lost. */
  readonly recovered: number
  /** Calls that nobody knows the end of: charged what was held, and recorded. */
  readonly orphaned: number
}

/**
 * Finds the calls of processes that died (BEY-06): the lease has ended, no outcome came. Runs in every live process, at every
 * start and in `doctor`; settling is idempotent, so it does not matter how many do.
 */
export class Sweep extends Context.Service<Sweep, { readonly run: Effect.Effect<Swept, StoreError> }>()(
  "effect-governance/services/Sweep"
) {}

export const make = Effect.gen(function* () {
  const admission = yield* AdmissionStore
  const store = yield* AuditStore
  const audit = yield* Audit
  const evidence = yield* Evidence

  const settle = Effect.fnUntraced(function* (ticket: ExpiredTicket) {
    const chain = chainOf(ticket.agentId, ticket.sessionId)
    const rows = yield* store.byId(evidence.idOf(ticket.ticket, "outcome"), chain)
    const known = Option.flatMap(Option.fromUndefinedOr(rows[0]), settlementOf)
    const settlement: Settlement = Option.getOrElse(known, () => ({ _tag: "Orphaned" }))
    const { outcome } = yield* admission.settle(ticket.root, ticket.ticket, settlement)
    if (outcome !== "settled") return "elsewhere"
    if (settlement._tag !== "Orphaned") return "recovered"
    yield* record(ticket)
    return "orphaned"
  })

  /** The attempt may be missing as well when the process died early; its id makes writing it again harmless. */
  const record = Effect.fnUntraced(function* (ticket: ExpiredTicket) {
    const { facts, agentId } = ticket
    const common = {
      agentId,
      sessionId: ticket.sessionId ?? undefined,
      model: facts.model ?? undefined,
      inputHash: facts.inputHash ?? undefined
    }
    const attempt = evidence.idOf(ticket.ticket, "attempt")
    const found = yield* store.byId(attempt, chainOf(agentId, ticket.sessionId))
    if (found.length === 0) {
      yield* Effect.ignore(
        audit.log({
          ...common,
          kind: `${facts.kind}.call`,
          id: attempt,
          metadata: { ticket: ticket.ticket, name: facts.name }
        })
      )
    }
    yield* Effect.ignore(
      audit.log({
        ...common,
        kind: "call.orphaned",
        id: evidence.idOf(ticket.ticket, "orphaned"),
        parentEventId: attempt,
        metadata: {
          ticket: ticket.ticket,
          name: facts.name,
          charged: formatUsd(ticket.heldUsd).slice(1),
          tokens: `${ticket.heldTokens}`,
          openedAtMs: ticket.openedAtMs,
          // Nobody knows whether the approved act was done: it is never tried again by itself (T-07).
          ...(facts.approval === undefined ? {} : { approval: facts.approval, approvedAct: "outcome unknown" })
        }
      })
    )
  })

  const run = Effect.gen(function* () {
    let recovered = 0
    let orphaned = 0
    for (const ticket of yield* admission.expired(200)) {
      const result = yield* settle(ticket)
      if (result === "recovered") recovered++
      if (result === "orphaned") orphaned++
    }
    yield* admission.forget(1000)
    if (recovered + orphaned > 0) yield* Effect.logInfo("calls.swept", { recovered, orphaned })
    return { recovered, orphaned }
  })

  return Sweep.of({ run })
})

/** Sweeps when it is asked to, as the doctor does. */
export const layerOnDemand = Layer.effect(Sweep, make)

/** Sweeps at the start and every 15 seconds; requests that nobody has decided in their time are ended as well. */
export const layer = Layer.effect(
  Sweep,
  Effect.gen(function* () {
    const sweep = yield* make
    const { endOverdue } = yield* GateRoom
    const round = Effect.all([
      Effect.catch(sweep.run, (error) => Effect.logWarning("calls.sweep_failed", { problem: error.problem })),
      Effect.catch(endOverdue, (error) => Effect.logWarning("gates.sweep_failed", { problem: error.problem }))
    ])
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(round, Effect.sleep("15 seconds"))))
    return sweep
  })
)

/** The outcome event as `Evidence.outcome` writes it; anything else in that place is not taken for one. */
const OutcomeText = Schema.fromJsonString(
  Schema.Struct({
    model: Schema.NullOr(Schema.String),
    outputHash: Schema.NullOr(Schema.String),
    metadata: Schema.Struct({ usd: Schema.String, tokens: Schema.String.check(Schema.isPattern(/^\d{1,18}$/)) })
  })
)

/** A refusal in the outcome's place: the call never ran, only giving its hold back was lost. */
const RefusalText = Schema.fromJsonString(Schema.Struct({ metadata: Schema.Struct({ refused: Schema.String }) }))

const settlementOf = (row: ChainRow): Option.Option<Settlement> =>
  Option.orElse(spentOf(row), () =>
    Option.as(Schema.decodeUnknownOption(RefusalText)(row.canonical), { _tag: "Refused" })
  )

const spentOf = (row: ChainRow): Option.Option<Settlement> =>
  Option.flatMap(Schema.decodeUnknownOption(OutcomeText)(row.canonical), ({ metadata, model, outputHash }) =>
    Option.map(Result.getSuccess(parseUsd(metadata.usd)), (usd) => ({
      _tag: "Spent",
      usd,
      tokens: BigInt(metadata.tokens),
      model,
      resultHash: outputHash
    }))
  )
