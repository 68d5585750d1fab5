import { DateTime, Effect, Layer, Schema } from "effect"
import { AgentId, OperatorId } from "../../schema/Ids.ts"
import { type AgentPresence, AgentStatus, type Halt } from "../../schema/Presence.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { PresenceStore } from "../../services/PresenceStore.ts"
import { decodeHalt } from "./AdmissionAnswers.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** Agents, their lineage and their halts. Halts stand on the tree's row, where no heartbeat can write (H-09). */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("PresenceStore")

  return PresenceStore.of({
    enrol: Effect.fnUntraced(function* (agentId, parent) {
      const [row] = yield* ask("enrol", `SELECT r_outcome, r_root, r_path FROM ${prefix}governance_enrol($1, $2)`, [
        agentId,
        parent
      ])
      const [outcome, root, path] = row ?? []
      switch (outcome) {
        case "Enrolled":
          return { _tag: "Enrolled", lineage: { root: AgentId.make(String(root)), path: decodePath(path) } }
        case "AgentExists":
        case "ParentUnknown":
        case "TooDeep":
          return { _tag: outcome }
        default:
          return yield* new StoreError({ store: "PresenceStore", operation: "enrol", problem: "integrity" })
      }
    }),

    heartbeat: ({ agentId, metadata, operatorId, status }) =>
      Effect.asVoid(
        ask("heartbeat", `SELECT 1 FROM ${prefix}governance_heartbeat($1, $2, $3, $4::jsonb)`, [
          agentId,
          status,
          operatorId,
          metadata === null ? null : JSON.stringify(metadata, printable)
        ])
      ),

    remove: (agentId) =>
      Effect.asVoid(ask("remove", `SELECT 1 FROM ${prefix}governance_forget_presence($1)`, [agentId])),

    list: Effect.suspend(() => Effect.map(ask("list", list(prefix)), (rows) => rows.map(presenceOf))),

    markStale: (timeoutMs) =>
      Effect.map(
        ask("markStale", `SELECT s FROM ${prefix}governance_mark_stale($1) AS s`, [
          BigInt(Math.max(0, Math.round(timeoutMs)))
        ]),
        (rows) => rows.map(([agent]) => AgentId.make(String(agent)))
      ),

    halts: Effect.suspend(() =>
      Effect.map(
        ask(
          "halts",
          `SELECT h.key, h.value FROM ${prefix}governance_trees t CROSS JOIN LATERAL jsonb_each(t.halts) AS h WHERE t.halts <> '{}'`
        ),
        (rows) => rows.map(([agent, halt]) => haltOf(agent, halt))
      )
    ),

    halt: Effect.fnUntraced(function* ({ agentId, haltedBy, reason }) {
      const [row] = yield* ask("halt", `SELECT r_changed, r_halt FROM ${prefix}governance_halt($1, $2, $3)`, [
        agentId,
        haltedBy,
        printable("", reason)
      ])
      return { changed: row?.[0] === true, halt: haltOf(agentId, row?.[1]) }
    }),

    resume: (agentId) =>
      Effect.map(ask("resume", `SELECT ${prefix}governance_resume($1)`, [agentId]), ([row]) =>
        row?.[0] === null || row === undefined ? null : haltOf(agentId, row[0])
      )
  })
})

export const layer = Layer.effect(PresenceStore, make)

/** Everyone who was seen, and everyone who is halted, seen or not. */
const list = (
  prefix: string
) => `SELECT a.agent, a.parent, p.status, p.last_seen, p.operator_id, p.metadata_json, t.halts -> a.agent
  FROM ${prefix}governance_presence p
  JOIN ${prefix}governance_agents a ON a.agent = p.agent
  JOIN ${prefix}governance_trees t ON t.root = p.root
UNION ALL
SELECT a.agent, a.parent, NULL, NULL, NULL, NULL, h.value
  FROM ${prefix}governance_trees t CROSS JOIN LATERAL jsonb_each(t.halts) AS h
  JOIN ${prefix}governance_agents a ON a.agent = h.key
 WHERE t.halts <> '{}'
   AND NOT EXISTS (SELECT 1 FROM ${prefix}governance_presence p WHERE p.root = t.root AND p.agent = h.key)`

// jsonb takes neither a NUL nor half a surrogate pair; a heartbeat is no evidence, so the character is replaced.
const printable = (_key: string, value: unknown): unknown =>
  typeof value === "string" ? value.toWellFormed().replaceAll("\0", "\uFFFD") : value

const decodePath = Schema.decodeUnknownSync(Schema.Array(AgentId))
const isStatus = Schema.is(AgentStatus)
const decodeMetadata = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Json))

const haltOf = (agent: unknown, halt: unknown): Halt =>
  decodeHalt({ ...(typeof halt === "object" ? halt : {}), agentId: agent })

const presenceOf = ([
  agent,
  parent,
  status,
  lastSeen,
  operator,
  metadata,
  halted
]: ReadonlyArray<unknown>): AgentPresence => {
  const halt = halted === null ? null : haltOf(agent, halted)
  return {
    agentId: AgentId.make(String(agent)),
    parent: parent === null ? null : AgentId.make(String(parent)),
    status: halt !== null ? "halted" : isStatus(status) ? status : "unresponsive",
    lastSeen: lastSeen instanceof Date ? DateTime.toUtc(DateTime.makeUnsafe(lastSeen)) : null,
    operatorId: operator === null ? null : OperatorId.make(String(operator)),
    metadata: {
      ...decodeMetadata(metadata ?? {}),
      ...(halt === null
        ? {}
        : { _halted_by: halt.haltedBy, _halted_at: DateTime.formatIso(halt.haltedAt), _halt_reason: halt.reason })
    }
  }
}
