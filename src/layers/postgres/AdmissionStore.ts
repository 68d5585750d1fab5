import { Effect, Layer, Schedule, Schema } from "effect"
import type { Admission, CallFacts, ExpiredTicket, Settled } from "../../schema/Call.ts"
import { GateRequestId } from "../../schema/GateRequest.ts"
import { AgentId, SessionId, TicketId } from "../../schema/Ids.ts"
import { NanoUsd } from "../../schema/Money.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { AdmissionStore } from "../../services/AdmissionStore.ts"
import * as Answers from "./AdmissionAnswers.ts"
import * as Batcher from "./AdmissionBatcher.ts"
import * as Sql from "./AdmissionStatements.ts"
import { Database } from "./Database.ts"
import { bounded } from "./Deadline.ts"
import { uuids } from "./PgArrays.ts"
import { toStoreError } from "./SqlFailure.ts"

export interface AdmissionStoreOptions {
  /** How long a caller waits for its verdict at most (`enforcementDeadline`). Default 1000 ms. */
  readonly deadlineMs?: number | undefined
}

/** Admission in Postgres: one function call for each tree and moment, everything decided by what the tables say. */
export const make = Effect.fnUntraced(function* (options: AdmissionStoreOptions = {}) {
  const { hot, prefix, sql } = yield* Database
  const deadlineMs = options.deadlineMs ?? 1000
  const statements = Sql.make(prefix)
  const run = Effect.runForkWith(yield* Effect.context<never>())

  const settling = yield* Batcher.make<Sql.Settling, Settled>({
    operation: "settle",
    deadlineMs,
    keyOf: ({ ticket }) => ticket,
    send: (root, requests) =>
      hot.use((connection) => {
        const [first] = requests
        return requests.length === 1 && first !== undefined
          ? Effect.map(connection.queryValues(statements.settleOne, Sql.settleOneParameters(root, first)), ([row]) => [
              Answers.settledOneOf(row)
            ])
          : Effect.map(connection.queryValues(statements.settle, Sql.settleParameters(root, requests)), ([row]) =>
              Answers.settledOf(row)
            )
      })
  })

  // A call whose caller has gone never starts, so it costs nothing. What cannot be given back now ends with its lease.
  const giveBack = (root: AgentId, ticket: TicketId) =>
    void run(
      Effect.ignore(
        Effect.retry(settling.submit(root, { ticket, settlement: { _tag: "Refused" } }), {
          times: 6,
          schedule: Schedule.exponential("100 millis", 2)
        })
      )
    )

  const admitting = yield* Batcher.make<Admission, Answers.Answer>({
    operation: "admit",
    deadlineMs,
    keyOf: ({ ticket }) => ticket,
    send: (root, requests) =>
      hot.use((connection) => {
        const [first] = requests
        return requests.length === 1 && first !== undefined
          ? Effect.map(connection.queryValues(statements.admitOne, Sql.admitOneParameters(first)), ([row]) => [
              Answers.answerOf(row)
            ])
          : Effect.map(connection.queryValues(statements.admit, Sql.admitParameters(root, requests)), ([row]) =>
              Answers.answersOf(requests, row)
            )
      }),
    onAbandoned: (root, { ticket }, answer) => {
      if (answer === undefined || answer._tag === "Admitted") giveBack(root, ticket)
    }
  })

  // One statement each: a grant is used up with its own ticket. Rare, since a person stands before each of them.
  const approving = yield* Batcher.make<Admission, Answers.Answer>({
    operation: "admit",
    deadlineMs,
    keyOf: ({ ticket }) => ticket,
    send: (_, requests) =>
      hot.use((connection) =>
        Effect.forEach(requests, (request) =>
          Effect.map(connection.queryValues(statements.admitApproved, Sql.admitApprovedParameters(request)), ([row]) =>
            Answers.answerOf(row)
          )
        )
      ),
    // The call never starts, so its hold is given back; the approval stays used, since nobody can tell from outside (T-07).
    onAbandoned: (root, { ticket }, answer) => {
      if (answer === undefined || answer._tag === "Admitted") giveBack(root, ticket)
    }
  })

  const ask = (operation: string, text: string, params: ReadonlyArray<unknown>) =>
    bounded(
      Effect.mapError(sql.unsafe(text, params).values, toStoreError("AdmissionStore", operation)),
      deadlineMs * 3,
      () => new StoreError({ store: "AdmissionStore", operation, problem: "deadline" })
    )

  return AdmissionStore.of({
    admit: (request) => {
      if (!isStorable(request)) return refused("admit")
      const lane = request.approval === undefined ? admitting : approving
      return Effect.flatMap(lane.submit(request.root, request), (answer) =>
        answer._tag === "Foreign" ? refused("admit") : Effect.succeed(answer)
      )
    },
    settle: (root, ticket, settlement) =>
      settlement._tag === "Spent" && !(inRange(settlement.usd) && inRange(settlement.tokens))
        ? refused("settle")
        : settling.submit(root, { ticket, settlement }),
    renew: (root, ticket, leaseMs) =>
      Effect.map(
        ask("renew", statements.renew, [root, ticket, BigInt(Math.max(0, Math.round(leaseMs)))]),
        ([row]) => row?.[0] === true
      ),
    expired: (limit) => Effect.map(ask("expired", statements.expired, [BigInt(limit)]), (rows) => rows.map(expiredOf)),
    forget: Effect.fnUntraced(function* (limit) {
      let gone = 0
      for (const [root, tickets] of yield* ask("forget", statements.forgettable, [BigInt(limit)])) {
        if (!Array.isArray(tickets)) continue
        const [row] = yield* ask("forget", statements.forget, [root, uuids(tickets)])
        gone += Number(row?.[0] ?? 0)
      }
      return gone
    })
  })
})

/** Keep it in a layer above `Database`: what is under way drains into a pool that must still be open. */
export const layer = Layer.effect(AdmissionStore, make())

export const layerWith = (options: AdmissionStoreOptions) => Layer.effect(AdmissionStore, make(options))

const refused = (operation: string) =>
  Effect.fail(new StoreError({ store: "AdmissionStore", operation, problem: "refused" }))

// Amounts far below the limit of bigint, so that no sum of a tree reaches it (U-14).
const inRange = (amount: bigint) => amount >= 0n && amount < 2n ** 62n
const isStorable = ({ hold, leaseMs }: Admission) =>
  Number.isFinite(leaseMs) && (hold._tag === "Remaining" || (inRange(hold.usd) && inRange(hold.tokens)))

const Facts = Schema.fromJsonString(
  Schema.Struct({
    kind: Schema.Literals(["tool", "api", "llm"]),
    name: Schema.String,
    model: Schema.NullOr(Schema.String),
    inputHash: Schema.NullOr(Schema.String),
    approval: Schema.optionalKey(GateRequestId)
  })
)
const decodeFacts: (text: unknown) => CallFacts = Schema.decodeUnknownSync(Facts)

const expiredOf = ([
  ticket,
  root,
  agent,
  session,
  usd,
  tokens,
  openedAt,
  facts
]: ReadonlyArray<unknown>): ExpiredTicket => ({
  ticket: TicketId.make(String(ticket)),
  root: AgentId.make(String(root)),
  agentId: AgentId.make(String(agent)),
  sessionId: session === "" ? null : SessionId.make(String(session)),
  heldUsd: NanoUsd.make(typeof usd === "bigint" ? usd : 0n),
  heldTokens: typeof tokens === "bigint" ? tokens : 0n,
  openedAtMs: Number(openedAt),
  facts: decodeFacts(facts)
})
