/** An event as a bridge sends it. */
export const eventOf = (seq: number, event_id: string = globalThis.crypto.randomUUID()) => ({
  seq,
  event_id,
  event_type: "tool.call",
  agent_id: "clerk",
  session_id: null,
  created_at: "2026-01-01T00:00:00.000Z",
  metadata: {},
  sdk_version: "0.1.0"
})
