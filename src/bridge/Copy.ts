import type { AuditRecord } from "../schema/AuditRecord.ts"
import { type IngestEvent, maxMetadataBytes } from "../schema/BridgeWire.ts"
import { canonicalize } from "../schema/CanonicalJson.ts"
import { AgentId, SessionId } from "../schema/Ids.ts"
import type { Redactor } from "../schema/Redaction.ts"
import { sdkVersion } from "../schema/SdkVersion.ts"

/** An event as it may leave, but for its place in the sequence. */
export type Copied = Omit<IngestEvent, "seq">

/** The copy of an event without the secrets of whoever wrote it, in every field that is a caller's own (BRG-11, B-22). */
export const copyOf = (record: AuditRecord, redact: Redactor): Copied => {
  const metadata = redact.json(record.metadata)
  return {
    event_id: record.id,
    event_type: redact.text(record.kind).slice(0, 128),
    agent_id: AgentId.make(redact.text(record.agentId).slice(0, 256)),
    session_id: record.sessionId === null ? null : SessionId.make(redact.text(record.sessionId).slice(0, 256)),
    created_at: record.at,
    metadata: fits(metadata) ? metadata : { truncated: true },
    sdk_version: sdkVersion
  }
}

/** The text of one event, which with its `seq` is an `IngestEvent`. */
export const eventText = (copy: Copied, seq: number): string => JSON.stringify({ seq, ...copy })

const utf8 = new TextEncoder()
const fits = (metadata: Parameters<typeof canonicalize>[0]): boolean =>
  utf8.encode(canonicalize(metadata)).length <= maxMetadataBytes
