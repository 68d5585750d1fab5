import { Brand, DateTime, Option, Result, Schema } from "effect"
import { Hex } from "effect/encoding"
import { BundleRow } from "./Bundle.ts"
import { canonicalize } from "./CanonicalJson.ts"
import type { ChainRow } from "./Envelope.ts"
import { type EnvelopeText, parseEnvelope } from "./EnvelopeText.ts"
import type { AgentId, ChainId, EventId, KeyId, SessionId } from "./Ids.ts"

/** The row that a line of `events.jsonl` holds, with what its text says; or what is wrong with the line. */
export const readBundleRow = (line: string): { readonly row: ChainRow; readonly envelope: EnvelopeText } | string => {
  const said = Option.getOrUndefined(decodeRow(line))
  // A text with half a surrogate pair has no canonical form: making it throws.
  const again = said === undefined ? undefined : Result.getOrUndefined(Result.try(() => canonicalize(said)))
  if (said === undefined || again !== line) return "is no row"
  const envelope = strictEnvelope(said.canonical)
  const row = envelope === undefined ? undefined : Option.getOrUndefined(rowOf(said, envelope))
  return envelope === undefined || row === undefined ? "the stored text is no audit envelope" : { row, envelope }
}

const decodeRow = Schema.decodeUnknownOption(Schema.fromJsonString(BundleRow), { onExcessProperty: "error" })

// What a row is compared with; nothing is made of these names.
const names = {
  chain: Brand.nominal<ChainId>(),
  id: Brand.nominal<EventId>(),
  agent: Brand.nominal<AgentId>(),
  session: Brand.nominal<SessionId>(),
  keyId: Brand.nominal<KeyId>()
}

const members =
  "agent,at,chain,id,inputHash,keyId,kind,metadata,model,outputHash,parent,prev,seq,session,signer,v".split(",")
const decodeText = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json)))

/** An envelope whose text is the canonical one, with exactly the members that it has. */
const strictEnvelope = (canonical: string): EnvelopeText | undefined => {
  const text = Option.getOrUndefined(decodeText(canonical))
  if (text === undefined || Object.keys(text).length !== members.length || !members.every((name) => name in text))
    return
  // A text that has no canonical form throws.
  const again = Result.try(() => canonicalize(text))
  return Result.isSuccess(again) && again.success === canonical
    ? Option.getOrUndefined(parseEnvelope(canonical))
    : undefined
}

/** The columns that the bundle carries, and the rest from the text: `checkRow` compares them. */
const rowOf = (row: BundleRow, envelope: EnvelopeText): Option.Option<ChainRow> =>
  Option.gen(function* () {
    const at = yield* DateTime.make(envelope.at)
    const { agent, keyId, kind, parent, session } = envelope
    const bytes = (hex: string) => Option.getSuccess(Hex.decode(hex))
    return {
      chain: names.chain(row.chain),
      id: names.id(row.id),
      agent: names.agent(agent),
      session: session === null ? null : names.session(session),
      parent: parent === null ? null : names.id(parent),
      keyId: names.keyId(keyId),
      seq: row.seq,
      atMs: DateTime.toEpochMillis(at),
      kind,
      signer: row.signer,
      canonical: row.canonical,
      hash: yield* bytes(row.hash),
      prev: row.prev === null ? null : yield* bytes(row.prev),
      hmac: yield* bytes(row.hmac),
      signature: row.signature === null ? null : yield* bytes(row.signature)
    }
  })
