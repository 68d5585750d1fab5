import { Brand, Schema } from "effect"
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

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/u

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

// What is right by construction is not checked again: these are made for every event.
const chainId = Brand.nominal<ChainId>()
const eventId = Brand.nominal<EventId>()
/** For a UUID that was just made, in lower case. */
export const ticketId = Brand.nominal<TicketId>()

export const sessionChain = (session: SessionId): ChainId => chainId(`session:${session}`)
export const agentChain = (agent: AgentId): ChainId => chainId(`agent:${agent}`)
/** Events without a session go to the agent's own chain (DEC-05). */
export const chainOf = (agent: AgentId, session: SessionId | null): ChainId =>
  session === null ? agentChain(agent) : sessionChain(session)
/** Acts of people and of machinery that belong to no agent. */
export const operatorChain: ChainId = ChainId.make("operator")

export type CallRole = "attempt" | "outcome" | "orphaned" | "looped"

const roleDigits = { attempt: "a", outcome: "b", orphaned: "c", looped: "d" } as const

/**
 * The id of a call's event: its ticket as a UUID version 8 (RFC 9562) whose last digit says the role. The same call always
 * gives the same ids, so nothing is written twice; 118 random bits of the ticket are left to tell calls apart.
 */
export const eventOfTicket = (ticket: TicketId, role: CallRole): EventId =>
  eventId(`${ticket.slice(0, 14)}8${ticket.slice(15, 35)}${roleDigits[role]}`)
