import { Option, Schema } from "effect"
import { OperatorId } from "./Ids.ts"

const prefix = "platform:"

/** A person as a platform names them: who says so stays visible in the log and in what the decision's MAC covers (T-16). */
export const remotePerson = (name: string): OperatorId | null =>
  Option.getOrNull(Schema.decodeOption(OperatorId)(`${prefix}${name}`))

export const isRemote = (id: string): boolean => id.startsWith(prefix)

/** The person behind such a name, to be compared with reviewers and operators; any other id is its own person. */
export const personOf = (id: string): string => (isRemote(id) ? id.slice(prefix.length) : id)
