import { Effect, Layer, Schema } from "effect"
import { EarlierOutcome, Gate, GateRequestId, GateState, type GateVote } from "../../schema/GateRequest.ts"
import { OperatorId } from "../../schema/Ids.ts"
import { StoreError } from "../../schema/StoreError.ts"
import {
  type GateDecided,
  type GateListing,
  type GateOpened,
  GateStore,
  type GateView
} from "../../services/GateStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import { texts } from "./PgArrays.ts"

/** Requests for approval in Postgres. Each change is one function that holds the tree; time is the database's. */
export const make = Effect.gen(function* () {
  const { deploymentId, prefix } = yield* Database
  const ask = yield* Ask.make("GateStore")
  const now = `${prefix}governance_now()`
  const gate = (alias: string) => jsonOf(alias, now)

  const one = (requestId: GateRequestId) =>
    Effect.flatMap(
      ask("read", `SELECT ${gate("g")}::text FROM ${prefix}governance_gates g WHERE g.request = $1`, [requestId]),
      ([row]) => (row === undefined ? integrity("open") : Effect.succeed(gateOf(row[0])))
    )

  return GateStore.of({
    open: Effect.fnUntraced(function* (opening) {
      const [row] = yield* ask(
        "open",
        `SELECT r_outcome, r_request::text, r_pending
           FROM ${prefix}governance_open_gate($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)`,
        [
          opening.root,
          opening.requestId,
          opening.agentId,
          opening.sessionId ?? "",
          opening.kind,
          opening.actionHash,
          opening.payload,
          opening.keyId,
          opening.matchKey,
          opening.quorum,
          BigInt(Math.max(1, Math.round(opening.expiresAfterMs))),
          opening.maxPending
        ]
      )
      const [outcome, request, pending] = row ?? []
      if (outcome === "Full") return { _tag: "Full", pending: Number(pending) } satisfies GateOpened
      if (outcome !== "Opened" && outcome !== "Known") {
        return yield* new StoreError({ store: "GateStore", operation: "open", problem: "refused" })
      }
      return { _tag: outcome, gate: yield* one(GateRequestId.make(String(request))) } satisfies GateOpened
    }),

    read: (requestId) =>
      Effect.map(
        ask(
          "read",
          `SELECT ${gate("g")}::text,
              (SELECT coalesce(json_agg(json_build_object('approver', v.approver, 'actionHash', v.action_hash,
                  'editedPayload', v.edited_payload, 'mac', v.mac) ORDER BY v.at, v.approver), '[]')
                 FROM ${prefix}governance_gate_votes v WHERE v.root = g.root AND v.request = g.request)::text,
              ${prefix}governance_operators_of(g.root, g.agent),
              (SELECT coalesce(json_agg(p.body ORDER BY u.nr), '[]')
                 FROM ${prefix}governance_agents a CROSS JOIN LATERAL unnest(a.path) WITH ORDINALITY AS u(agent, nr)
                 JOIN ${prefix}governance_policies p ON p.agent = u.agent AND p.kind = 'gate' AND p.body IS NOT NULL
                WHERE a.agent = g.agent)::text,
              (extract(epoch FROM ${now}) * 1000)::bigint
             FROM ${prefix}governance_gates g WHERE g.request = $1`,
          [requestId]
        ),
        ([row]) => (row === undefined ? null : viewOf(row))
      ),

    stateOf: (requestId) =>
      Effect.map(
        ask(
          "stateOf",
          `SELECT CASE WHEN g.state = 'pending' AND g.expires_at <= ${now} THEN 'expired' ELSE g.state END
             FROM ${prefix}governance_gates g WHERE g.request = $1`,
          [requestId]
        ),
        ([row]) => (row === undefined ? null : decodeState(row[0]))
      ),

    decide: (decision) =>
      Effect.map(
        ask("decide", `SELECT ${prefix}governance_decide_gate($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`, [
          decision.root,
          decision.requestId,
          decision.decision,
          decision.approver,
          decision.actionHash,
          decision.editedPayload,
          decision.mac,
          texts(decision.approvers),
          decision.votes,
          decision.reviewer !== undefined,
          decision.reviewer ?? null
        ]),
        ([row]): GateDecided => {
          const outcome = row?.[0]
          if (outcome === "Decided" || outcome === "Expired" || outcome === "Moved") return { _tag: outcome }
          return { _tag: "Resolved", state: decodeState(outcome) }
        }
      ),

    expire: (root, requestId, early) =>
      Effect.map(
        ask("expire", `SELECT ${prefix}governance_expire_gate($1,$2,$3)`, [root, requestId, early]),
        ([row]) => row?.[0] === true
      ),

    claim: (root, requestId, from, to) =>
      Effect.map(
        ask("claim", `SELECT ${prefix}governance_claim_gate($1,$2,$3,$4)`, [root, requestId, from, to]),
        ([row]) => row?.[0] === true
      ),

    list: ({ agentId, limit, which }) =>
      Effect.map(
        ask(
          "list",
          `SELECT ${gate("g")}::text,
              (SELECT count(*) FROM ${prefix}governance_gate_votes v WHERE v.root = g.root AND v.request = g.request),
              CASE WHEN g.earlier IS NULL THEN NULL ELSE coalesce(
                (SELECT CASE t.state WHEN 'open' THEN 'running' WHEN 'orphaned' THEN 'unknown' WHEN 'released' THEN 'not_run'
                             WHEN 'spent' THEN 'completed' ELSE e.outcome END
                   FROM ${prefix}governance_gates e
                   LEFT JOIN ${prefix}governance_tickets t ON t.root = e.root AND t.ticket = e.ticket
                  WHERE e.root = g.root AND e.request = g.earlier), 'unknown') END
             FROM ${prefix}governance_gates g
            WHERE ($1::text IS NULL OR g.agent = $1) AND ($2 = 'all' OR (g.state = $2 AND g.expires_at > ${now}))
            ORDER BY g.created_at DESC, g.request LIMIT $3`,
          [agentId, which, BigInt(limit)]
        ),
        (rows) => rows.map(listingOf)
      ),

    overdue: (limit) =>
      Effect.map(
        ask(
          "overdue",
          `SELECT ${gate("g")}::text FROM ${prefix}governance_gates g
            WHERE g.state IN ('pending', 'granted') AND g.expires_at <= ${now} ORDER BY g.expires_at LIMIT $1`,
          [BigInt(limit)]
        ),
        (rows) => rows.map(([row]) => gateOf(row))
      ),

    hasGranted: (agentId) =>
      Effect.map(
        ask(
          "hasGranted",
          `SELECT 1 FROM ${prefix}governance_gates g
            WHERE g.agent = $1 AND g.state = 'granted' AND g.expires_at > ${now} LIMIT 1`,
          [agentId]
        ),
        (rows) => rows.length > 0
      ),

    forget: (olderThanMs, limit) =>
      Effect.map(
        ask("forget", `SELECT ${prefix}governance_forget_gates($1,$2)`, [
          BigInt(Math.max(0, Math.round(olderThanMs))),
          BigInt(limit)
        ]),
        ([row]) => Number(row?.[0] ?? 0)
      ),

    nowMs: Effect.suspend(() =>
      Effect.map(ask("nowMs", `SELECT (extract(epoch FROM ${now}) * 1000)::bigint`), ([row]) => Number(row?.[0]))
    ),
    deploymentId
  })
})

export const layer = Layer.effect(GateStore, make)

/** One row as the text of `Gate`: named fields, times in milliseconds. */
const jsonOf = (g: string, now: string) => `json_build_object('requestId', ${g}.request, 'root', ${g}.root,
    'agentId', ${g}.agent, 'sessionId', nullif(${g}.session, ''), 'kind', ${g}.kind, 'actionHash', ${g}.action_hash,
    'payload', ${g}.payload, 'matchKey', ${g}.match_key, 'keyId', ${g}.key_id,
    'state', CASE WHEN ${g}.state IN ('pending', 'granted') AND ${g}.expires_at <= ${now} THEN 'expired' ELSE ${g}.state END,
    'quorum', ${g}.quorum, 'createdAtMs', (extract(epoch FROM ${g}.created_at) * 1000)::bigint,
    'expiresAtMs', (extract(epoch FROM ${g}.expires_at) * 1000)::bigint,
    'decidedAtMs', (extract(epoch FROM ${g}.decided_at) * 1000)::bigint, 'operators', ${g}.operators,
    'reviewer', ${g}.reviewer, 'approvers', ${g}.approvers, 'decisionMac', ${g}.decision_mac,
    'approvedHash', ${g}.approved_hash, 'editedPayload', ${g}.edited_payload, 'ticket', ${g}.ticket, 'earlier', ${g}.earlier)`

const gateOf = Schema.decodeUnknownSync(Schema.fromJsonString(Gate))
const decodeState = Schema.decodeUnknownSync(GateState)
const decodeVotes: (text: unknown) => ReadonlyArray<GateVote> = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Array(
      Schema.Struct({
        approver: OperatorId,
        actionHash: Gate.fields.actionHash,
        editedPayload: Schema.NullOr(Schema.String),
        mac: Schema.String
      })
    )
  )
)
const decodePeople = Schema.decodeUnknownSync(Schema.Array(OperatorId))
const decodePolicies = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(Schema.Unknown)))
const decodeOutcome = Schema.decodeUnknownSync(Schema.NullOr(EarlierOutcome))

const viewOf = ([row, votes, operators, policies, nowMs]: ReadonlyArray<unknown>): GateView => ({
  gate: gateOf(row),
  votes: decodeVotes(votes),
  operatorsNow: decodePeople(operators),
  policies: decodePolicies(policies),
  nowMs: Number(nowMs)
})

const listingOf = ([row, votes, earlier]: ReadonlyArray<unknown>): GateListing => ({
  gate: gateOf(row),
  votes: Number(votes),
  earlierOutcome: decodeOutcome(earlier)
})

const integrity = (operation: string) =>
  Effect.fail(new StoreError({ store: "GateStore", operation, problem: "integrity" }))
