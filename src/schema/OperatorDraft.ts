import { canonicalize } from "./CanonicalJson.ts"
import type { AuditDraft } from "./Envelope.ts"
import { escape } from "./Escape.ts"
import { AgentId, type EventId, operatorChain } from "./Ids.ts"
import type { JsonObject } from "./Json.ts"

/** Who an event of chain `operator` is by, where no agent acts: a name that never signs. */
export const machinery: AgentId = AgentId.make("governance")

/** An event of chain `operator`: an act of people or of machinery that belongs to no agent (DEC-05). */
export const operatorDraft = (id: EventId, atMs: number, kind: string, metadata: JsonObject): AuditDraft => ({
  chain: operatorChain,
  id,
  atMs,
  agent: machinery,
  session: null,
  parent: null,
  kind,
  model: null,
  inputHash: null,
  outputHash: null,
  metadataText: canonicalize(escape(metadata))
})
