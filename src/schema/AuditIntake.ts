import { Option, Result, Schema } from "effect"
import { Hex } from "effect/encoding"
import { InvalidAuditEvent } from "./AuditError.ts"
import { AuditKind } from "./AuditEvent.ts"
import { canonicalize } from "./CanonicalJson.ts"
import type { Digest } from "./Chain.ts"
import type { AuditDraft } from "./Envelope.ts"
import { escape, type SealMark } from "./Escape.ts"
import { flatText } from "./FlatText.ts"
import { Identifier } from "./Identifier.ts"
import { AgentId, chainOf, EventId, SessionId } from "./Ids.ts"
import { snapshotMarked } from "./Json.ts"
import { remembered } from "./Remembered.ts"

/** An event that is one: identifiers normalised, metadata copied once, made storable and rendered. */
export type AuditIntake = Omit<AuditDraft, "id" | "atMs"> & { readonly id: EventId | null }

/** Field by field, so that a refusal names the field; the value appears in no refusal (AUD-06). */
export const decodeEvent = (input: unknown, seal?: SealMark): Result.Result<AuditIntake, InvalidAuditEvent> => {
  if (typeof input !== "object" || input === null) return refuse("event", "is no object")
  // The event is foreign: a getter or a Proxy in it may throw, and each is read once.
  const copied = Result.try((): { readonly [key: string]: unknown } => ({ ...input }))
  if (Result.isFailure(copied)) return refuse("event", "could not be read: reading it threw")
  const event = copied.success
  const kind = kindOf(event.kind)
  if (kind === undefined) return refuse("kind", name(128))
  const agent = agentOf(event.agentId)
  if (agent === undefined) return refuse("agentId", name(256))
  const session = optional(sessionOf, event.sessionId)
  if (session === undefined) return refuse("sessionId", name(256))
  const id = optional(idOf, event.id)
  if (id === undefined) return refuse("id", "is no UUID in lower case")
  const parent = optional(idOf, event.parentEventId)
  if (parent === undefined) return refuse("parentEventId", "is no UUID in lower case")
  const model = optional(modelOf, event.model)
  if (model === undefined) return refuse("model", name(128))
  const inputHash = optional(hashOf, event.inputHash)
  if (inputHash === undefined) return refuse("inputHash", name(128))
  const outputHash = optional(hashOf, event.outputHash)
  if (outputHash === undefined) return refuse("outputHash", name(128))
  const metadataText = metadataOf(event.metadata, seal)
  if (Result.isFailure(metadataText)) return Result.fail(metadataText.failure)
  return Result.succeed({
    chain: chainOf(agent, session),
    id,
    agent,
    session,
    parent,
    kind,
    model,
    inputHash,
    outputHash,
    metadataText: metadataText.success
  })
}

/** Whose event it would have been, as far as that can be told: the substitute row goes where the event would have gone. */
export const ownerOf = (input: unknown): { readonly agent: AgentId | null; readonly session: SessionId | null } => {
  if (typeof input !== "object" || input === null) return { agent: null, session: null }
  const agent = agentOf("agentId" in input ? input.agentId : undefined) ?? null
  if (agent === null) return { agent: null, session: null }
  return { agent, session: optional(sessionOf, "sessionId" in input ? input.sessionId : undefined) ?? null }
}

/** What is known of a refused value without showing it: its size, and a hash by which its owner can recognise it. */
export const measured = (event: unknown, hash: Digest): { readonly sha256?: string; readonly bytes?: number } => {
  if (typeof event !== "object" || event === null || !("metadata" in event)) return {}
  // Reading a refused value once more may throw or overflow the stack; then nothing is known of it.
  return Result.match(
    Result.try(() => JSON.stringify(event.metadata)),
    {
      onFailure: () => ({}),
      onSuccess: (text: string | undefined) =>
        text === undefined ? {} : { sha256: Hex.encode(hash(text)), bytes: new TextEncoder().encode(text).length }
    }
  )
}

const short = Schema.decodeUnknownOption(Identifier(128))
const kindOf = remembered(Schema.decodeUnknownOption(AuditKind))
const agentOf = remembered(Schema.decodeUnknownOption(AgentId))
const sessionOf = remembered(Schema.decodeUnknownOption(SessionId))
const modelOf = remembered(short)
const isId = Schema.is(EventId)
const idOf = (value: unknown): EventId | undefined => (isId(value) ? value : undefined)
/** Hashes hardly repeat; most are hex, and hex needs no normalising. */
const hashOf = (value: unknown): string | undefined =>
  typeof value === "string" && /^[0-9a-f]{1,128}$/.test(value) ? value : Option.getOrUndefined(short(value))

const optional = <A>(decode: (value: unknown) => A | undefined, value: unknown): A | null | undefined =>
  value === undefined || value === null ? null : decode(value)

const metadataOf = (value: unknown, seal: SealMark | undefined): Result.Result<string, InvalidAuditEvent> => {
  if (value === undefined || value === null) return Result.succeed("{}")
  const flat = flatText(value)
  if (flat !== undefined) return Result.succeed(flat)
  const taken = snapshotMarked(value)
  if (Result.isFailure(taken)) return refuse(`metadata${taken.failure.path}`, taken.failure.problem)
  if (typeof taken.success !== "object" || taken.success === null || Array.isArray(taken.success)) {
    return refuse("metadata", "is no object")
  }
  return Result.succeed(canonicalize(escape(taken.success, seal)))
}

const name = (max: number) => `is no text of 1 to ${max} characters`

const refuse = (field: string, problem: string) => Result.fail(new InvalidAuditEvent({ field, problem }))
