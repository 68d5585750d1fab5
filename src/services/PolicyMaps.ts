import type { Schema } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import type { PolicyKind, PolicyOf, PolicySource } from "../schema/Policy.ts"

/** A policy that counts. `version` is 0 while only this process knows it. */
export interface InForce<K extends PolicyKind> {
  readonly policy: PolicyOf<K>
  readonly body: Schema.Json
  readonly source: PolicySource
  readonly version: number
}

export type Maps = { readonly [K in PolicyKind]: Map<AgentId, InForce<K>> }

export const emptyMaps = (): Maps => ({
  scope: new Map(),
  budget: new Map(),
  loop: new Map(),
  gate: new Map(),
  audit: new Map(),
  routing: new Map()
})

export const put = <K extends PolicyKind>(maps: Maps, agentId: AgentId, kind: K, value: InForce<K>) => {
  maps[kind].set(agentId, value)
}
export const keep = <K extends PolicyKind>(from: Maps, to: Maps, agentId: AgentId, kind: K) => {
  const value = from[kind].get(agentId)
  if (value !== undefined) put(to, agentId, kind, value)
}
