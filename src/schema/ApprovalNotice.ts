import { Option, Schema } from "effect"
import type { AuditRecord } from "./AuditRecord.ts"
import { Identifier } from "./Identifier.ts"
import { standard } from "./Redaction.ts"

/** What happens to an approval that somebody outside may want to hear of. */
export const noticeKinds = ["approval.requested", "approval.granted", "approval.denied", "approval.expired"] as const

export const isNoticeKind = Schema.is(Schema.Literals(noticeKinds))

/** All that ever leaves about an approval. No payload, no reason, no token, nobody's name (BEY-10, B-22). */
export interface ApprovalNotice {
  readonly type: (typeof noticeKinds)[number]
  readonly timestamp: string
  readonly data: {
    readonly request: string | undefined
    readonly agentId: string
    readonly action: string | undefined
    readonly actionHash: string | undefined
    readonly expiresAt: string | undefined
    readonly approvals: number | undefined
  }
}

/** The notice of an audit event; null when there is none. A field that is not what its name says is left out. */
export const noticeOf = ({ agentId, at, kind, metadata }: AuditRecord): ApprovalNotice | null => {
  if (!isNoticeKind(kind)) return null
  const told = (name: string): unknown =>
    typeof metadata === "object" && metadata !== null ? Reflect.get(metadata, name) : undefined
  return {
    type: kind,
    timestamp: at,
    data: {
      request: request(told("request")),
      agentId: standard.text(agentId),
      action: redacted(action(told("action"))),
      actionHash: actionHash(told("actionHash")),
      expiresAt: moment(told("expiresAt")),
      approvals: approvals(told("approvals"))
    }
  }
}

/** What is signed and sent, to the byte. */
export const noticeText = (notice: ApprovalNotice): string => JSON.stringify(notice)

/** Names are whatever callers call things, and a person may have put a secret into one (B-22). */
const redacted = (name: string | undefined) => (name === undefined ? undefined : standard.text(name))

const known = <A>(schema: Schema.ConstraintDecoder<A>) => {
  const decode = Schema.decodeUnknownOption(schema)
  return (value: unknown): A | undefined => Option.getOrUndefined(decode(value))
}

const request = known(Schema.String.check(Schema.isPattern(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)))
const action = known(Identifier(512))
const actionHash = known(Schema.String.check(Schema.isPattern(/^[0-9a-f]{32,128}$/)))
const moment = known(Schema.String.check(Schema.isPattern(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?Z$/)))
const approvals = known(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 })))
