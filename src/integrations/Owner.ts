import { Schema } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { AgentId } from "../schema/Ids.ts"
import { record } from "./Reading.ts"

/** What is wrong with whom something is governed for: said when it is wrapped, since plain JavaScript has no types to say it. */
export const problemOfOwner = (options: unknown): ConfigurationError | undefined => {
  const { agentId, governance } = record(options)
  if (typeof record(governance).run !== "function") {
    const problem =
      "is missing: give the object that Governance.start() of effect-governance/promise, or Host.make, made"
    return new ConfigurationError({ setting: "governance", problem })
  }
  return Schema.is(AgentId)(agentId)
    ? undefined
    : new ConfigurationError({ setting: "agentId", problem: "must be a name of 1 to 256 visible characters" })
}

/** Throws it. */
export const assertOwner = (options: unknown): void => {
  const problem = problemOfOwner(options)
  if (problem !== undefined) throw problem
}
