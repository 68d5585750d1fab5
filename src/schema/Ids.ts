import { Schema } from "effect"
import { Identifier } from "./Identifier.ts"

/** An agent, by the name its owner gave it; case-sensitive, 1 to 256 characters after normalisation. */
export const AgentId = Identifier(256).pipe(Schema.brand("AgentId"))
export type AgentId = typeof AgentId.Type

/** One task or conversation; agents that share a session share its chain (DEC-05). */
export const SessionId = Identifier(256).pipe(Schema.brand("SessionId"))
export type SessionId = typeof SessionId.Type

/** A person, or a machine that acts for one. */
export const OperatorId = Identifier(256).pipe(Schema.brand("OperatorId"))
export type OperatorId = typeof OperatorId.Type

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A UUID in lower case: the idempotency key of an audit event. */
export const EventId = Schema.String.check(Schema.isPattern(uuid)).pipe(Schema.brand("EventId"))
export type EventId = typeof EventId.Type

/** A UUID in lower case: one admission. */
export const TicketId = Schema.String.check(Schema.isPattern(uuid)).pipe(Schema.brand("TicketId"))
export type TicketId = typeof TicketId.Type

// Code points, without controls and lone surrogates: what a normalised identifier can be.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const chain = /^(?:session:|agent:)[^\u0000-\u001f\u007f-\u009f\ud800-\udfff]{1,256}$|^operator$/u

/** `session:<id>`, `agent:<id>` or `operator` (DEC-05). */
export const ChainId = Schema.String.check(Schema.isPattern(chain)).pipe(Schema.brand("ChainId"))
export type ChainId = typeof ChainId.Type

/** The first 128 bits of a key's salted fingerprint, in hex (K-07). */
export const KeyId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/)).pipe(Schema.brand("KeyId"))
export type KeyId = typeof KeyId.Type

export const sessionChain = (session: SessionId): ChainId => ChainId.make(`session:${session}`)
export const agentChain = (agent: AgentId): ChainId => ChainId.make(`agent:${agent}`)
/** Acts of people and of machinery that belong to no agent. */
export const operatorChain: ChainId = ChainId.make("operator")

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/**
 * A UUID version 8 (RFC 9562) from the first 16 bytes of a hash: the same facts always give the same id. A shorter hash is a
 * bug, so it throws.
 */
export const uuidV8FromHash = (hash: Uint8Array): EventId => {
  if (hash.length < 16) throw new RangeError("a UUID needs 16 bytes of hash")
  let text = ""
  for (let i = 0; i < 16; i++) {
    const byte = hash[i]!
    text += hex[i === 6 ? (byte & 0x0f) | 0x80 : i === 8 ? (byte & 0x3f) | 0x80 : byte]
    if (i === 3 || i === 5 || i === 7 || i === 9) text += "-"
  }
  return EventId.make(text)
}
