import { Effect, Layer } from "effect"
import type { ForwardedGate } from "../../schema/ForwardedGate.ts"
import { WorkflowId, WorkspaceId } from "../../schema/Workspace.ts"
import { InboxStore } from "../../services/InboxStore.ts"
import { Database } from "./Database.ts"
import * as TenantAsk from "./TenantAsk.ts"

/** The inbox in the platform's own schema. The `where` of each statement is its rule. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* TenantAsk.make("InboxStore")
  const table = `${prefix}governance_forwarded_gates`

  return InboxStore.of({
    forward: (gate) =>
      Effect.map(
        ask(
          "forward",
          `WITH made AS (
             INSERT INTO ${table} AS g (workspace, workflow, request, agent, kind, action_hash, expires_ms, sdk_version, received_ms)
             SELECT w.workspace, w.workflow, $3, $4, $5, $6, $7::bigint, $8, $9::bigint
               FROM ${prefix}governance_workflows w WHERE w.workspace = $1 AND w.workflow = $2
             -- Nothing is changed: the row is locked and read as it is now, also when somebody else has just made it.
             ON CONFLICT (workspace, workflow, request) DO UPDATE SET local_ms = g.local_ms
             RETURNING (xmax = 0) AS fresh,
               g.agent = $4 AND g.kind = $5 AND g.action_hash = $6 AND g.expires_ms = $7::bigint AS same)
           SELECT fresh, same FROM made`,
          [
            gate.workspace,
            gate.workflow,
            gate.request,
            gate.agent,
            gate.kind,
            gate.actionHash,
            BigInt(gate.expiresMs),
            gate.sdkVersion,
            BigInt(gate.receivedMs)
          ]
        ),
        ([row]) =>
          row === undefined ? "NoWorkflow" : row[0] === true ? "Stored" : row[1] === true ? "Known" : "Differs"
      ),
    find: ({ workflow, workspace }, request) =>
      Effect.map(
        ask("find", `SELECT ${columns} FROM ${table} WHERE workspace = $1 AND workflow = $2 AND request = $3`, [
          workspace,
          workflow,
          request
        ]),
        ([row]) => (row === undefined ? null : gateOf(row))
      ),
    settle: ({ workflow, workspace }, request, local) =>
      Effect.map(
        ask(
          "settle",
          `UPDATE ${table} SET local_status = coalesce(local_status, $4), local_ms = coalesce(local_ms, $5::bigint)
            WHERE workspace = $1 AND workflow = $2 AND request = $3 RETURNING ${columns}`,
          [workspace, workflow, request, local.status, BigInt(local.atMs)]
        ),
        ([row]) => (row === undefined ? null : gateOf(row))
      ),
    decide: Effect.fnUntraced(function* ({ workflow, workspace }, request, { actionHash, atMs, by, decision }) {
      const taken = yield* ask(
        "decide",
        `UPDATE ${table} SET inbox_decision = $4, inbox_by = $5, inbox_ms = $6::bigint
          WHERE workspace = $1 AND workflow = $2 AND request = $3 AND action_hash = $7 AND expires_ms > $6::bigint
            AND inbox_decision IS NULL AND local_status IS NULL RETURNING ${columns}`,
        [workspace, workflow, request, decision, by, BigInt(atMs), actionHash]
      )
      if (taken[0] !== undefined) return { taken: true, gate: gateOf(taken[0]) }
      const [row] = yield* ask(
        "decide",
        `SELECT ${columns} FROM ${table} WHERE workspace = $1 AND workflow = $2 AND request = $3`,
        [workspace, workflow, request]
      )
      return row === undefined ? null : { taken: false, gate: gateOf(row) }
    }),
    list: (workspace, { limit, nowMs, open }) =>
      Effect.map(
        ask(
          "list",
          `SELECT ${columns} FROM ${table} WHERE workspace = $1
              AND (NOT $2::boolean OR (inbox_decision IS NULL AND local_status IS NULL AND expires_ms > $3::bigint))
            ORDER BY received_ms DESC, request LIMIT $4`,
          [workspace, open, BigInt(nowMs), limit]
        ),
        (rows) => rows.map(gateOf)
      )
  })
})

export const layer = Layer.effect(InboxStore, make)

const columns = `workspace, workflow, request, agent, kind, action_hash, expires_ms, sdk_version, received_ms,
  inbox_decision, inbox_by, inbox_ms, local_status, local_ms`

const gateOf = (row: ReadonlyArray<unknown>): ForwardedGate => {
  const [inbox, local] = [row[9], row[12]]
  return {
    workspace: WorkspaceId.make(String(row[0])),
    workflow: WorkflowId.make(String(row[1])),
    request: String(row[2]),
    agent: String(row[3]),
    kind: String(row[4]),
    actionHash: String(row[5]),
    expiresMs: Number(row[6]),
    sdkVersion: String(row[7]),
    receivedMs: Number(row[8]),
    inbox:
      inbox === "granted" || inbox === "denied"
        ? { decision: inbox, by: String(row[10]), atMs: Number(row[11]) }
        : null,
    local:
      local === "granted" || local === "denied" || local === "expired" ? { status: local, atMs: Number(row[13]) } : null
  }
}
