import { Option, Schema } from "effect"
import { Hex } from "effect/encoding"
import { type Digest, sameBytes } from "./Chain.ts"
import type { AuditDraft } from "./Envelope.ts"
import { AgentId, ChainId, EventId, KeyId, SessionId } from "./Ids.ts"

/** Before every line of a spool in its MAC, so that it can be taken for nothing else. */
export const spoolLabel = "effect-governance/audit/v1/spool\n"

/** `edited`: a line fails its MAC. `truncated`: the end is missing. `unverifiable`: the key is not here. */
export type SpoolProblem = "edited" | "truncated" | "unverifiable"

const encoder = new TextEncoder()

const DraftText = Schema.fromJsonString(
  Schema.Struct({
    chain: ChainId,
    id: EventId,
    atMs: Schema.Int,
    agent: AgentId,
    session: Schema.NullOr(SessionId),
    parent: Schema.NullOr(EventId),
    kind: Schema.String,
    model: Schema.NullOr(Schema.String),
    inputHash: Schema.NullOr(Schema.String),
    outputHash: Schema.NullOr(Schema.String),
    metadataText: Schema.String
  })
)
const HeaderText = Schema.fromJsonString(Schema.Struct({ v: Schema.Literal(1), instance: Schema.String, keyId: KeyId }))
const FooterText = Schema.fromJsonString(Schema.Struct({ footer: Schema.Int }))

export const draftText = Schema.encodeSync(DraftText)
const readDraft = Schema.decodeUnknownOption(DraftText)
const readHeader = Schema.decodeUnknownOption(HeaderText)
const readFooter = Schema.decodeUnknownOption(FooterText)

export const headerText = (instance: string, keyId: KeyId) => JSON.stringify({ v: 1, instance, keyId })
export const footerText = (lines: number) => JSON.stringify({ footer: lines })

/** A line's MAC first, so that no body needs a parser before it has been checked. */
export const lineText = (body: string, mac: Uint8Array) => `${Hex.encode(mac)} ${body}\n`
export const macInput = (previous: Uint8Array, body: string) => `${spoolLabel}${Hex.encode(previous)}\n${body}`

export interface Found {
  readonly drafts: ReadonlyArray<AuditDraft>
  readonly problem: SpoolProblem | null
}

/** The genuine beginning of a spool file, and what is wrong after it. */
export const readSpool = (text: string, macFor: (keyId: KeyId) => Digest | undefined): Found => {
  const lines = text.split("\n")
  const whole = lines.pop() === ""
  const drafts: Array<AuditDraft> = []
  const [first] = lines
  const header = first === undefined ? Option.none() : readHeader(first.slice(65))
  if (first === undefined || Option.isNone(header))
    return { drafts, problem: whole && first !== undefined ? "edited" : "truncated" }
  const mac = macFor(header.value.keyId)
  if (mac === undefined) return { drafts, problem: "unverifiable" }
  let previous = mac(spoolLabel + first.slice(65))
  if (!isLine(first, previous)) return { drafts, problem: "edited" }
  for (const line of lines.slice(1)) {
    const body = line.slice(65)
    previous = mac(macInput(previous, body))
    if (!isLine(line, previous)) return { drafts, problem: "edited" }
    const footer = readFooter(body)
    if (Option.isSome(footer)) return { drafts, problem: whole && line === lines.at(-1) ? null : "edited" }
    const draft = readDraft(body)
    if (Option.isNone(draft)) return { drafts, problem: "edited" }
    drafts.push(draft.value)
  }
  return { drafts, problem: "truncated" }
}

const isLine = (line: string, mac: Uint8Array) =>
  sameBytes(encoder.encode(line.slice(0, 65)), encoder.encode(`${Hex.encode(mac)} `))
