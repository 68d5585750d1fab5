import { Result, Schema, SchemaIssue } from "effect"
import { AgentId } from "./Ids.ts"
import { type AgentPolicies, PolicyFile, type PolicyKind, policyCodecs, policyKinds } from "./Policy.ts"

/** One policy of a file: whose it is, and its body as the store keeps it. */
export interface PolicyEntry {
  readonly agentId: AgentId
  readonly kind: PolicyKind
  readonly body: Schema.Json
}

/** A policy file with everything that is wrong with it, so that one round of corrections is enough. */
export class PolicyFileInvalid extends Schema.TaggedError<PolicyFileInvalid>()(
  "PolicyFileInvalid",
  {
    file: Schema.String,
    problems: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String }))
  },
  { httpApiStatus: 400 }
) {
  override get message() {
    const first = this.problems[0]
    const more = this.problems.length > 1 ? ` (and ${this.problems.length - 1} more)` : ""
    return `${this.file} is no policy file: ${first === undefined ? "it is empty" : describe(first)}${more}`
  }
  get recoveryHint() {
    return 'It looks like {"agents": {"my-agent": {"scope": {"allowedTools": ["search"]}, "budget": {"perAgentUsdDaily": "5.00"}}}}. Nothing was applied.'
  }
}

/** Where and what, in one line. */
export const describe = (problem: { readonly path: string; readonly message: string }): string =>
  problem.path === "" ? problem.message : `${problem.path}: ${problem.message}`

/**
 * Reads a policy file whole, or says all that is wrong with it. Unknown keys are refused: a cap with a typing error in its
 * name would be no cap. `*` stands for every agent only where `wildcard` allows it.
 */
export const parsePolicyFile = (
  file: string,
  text: string,
  options: { readonly wildcard?: boolean } = {}
): Result.Result<ReadonlyArray<PolicyEntry>, PolicyFileInvalid> => {
  const refuse = (...problems: ReadonlyArray<{ readonly path: string; readonly message: string }>) =>
    Result.fail(new PolicyFileInvalid({ file, problems }))
  const json = Result.try(() => JSON.parse(text))
  if (Result.isFailure(json)) return refuse({ path: "", message: `it is not JSON: ${reasonOf(json.failure)}` })
  const decoded = Schema.decodeUnknownResult(PolicyFile)(json.success, { onExcessProperty: "error", errors: "all" })
  if (Result.isFailure(decoded)) {
    return refuse(
      ...format(decoded.failure.issue).issues.map(({ message, path }) => ({
        path: pathOf(path),
        message: plainly(message)
      }))
    )
  }
  const agents = Object.entries(decoded.success.agents)
  const ids = new Map<AgentId, string>()
  const problems: Array<{ path: string; message: string }> = []
  const entries: Array<PolicyEntry> = []
  for (const [name, policies] of agents) {
    const path = `agents.${name}`
    const id = Schema.decodeUnknownResult(AgentId)(name)
    if (Result.isFailure(id)) problems.push({ path, message: "an agent's name has 1 to 256 visible characters" })
    else if (id.success === "*" && options.wildcard !== true)
      problems.push({ path, message: "name the agent; * is for replay only" })
    else if (ids.has(id.success)) problems.push({ path, message: `is the same agent as ${ids.get(id.success)}` })
    else {
      ids.set(id.success, name)
      entries.push(...entriesOf(id.success, policies))
    }
  }
  if (problems.length > 0) return refuse(...problems)
  if (entries.length === 0) return refuse({ path: "agents", message: "names no policy, so nothing would change" })
  return Result.succeed(entries)
}

const entriesOf = (agentId: AgentId, policies: AgentPolicies): ReadonlyArray<PolicyEntry> =>
  policyKinds.flatMap((kind) => {
    const policy = policies[kind]
    return policy === undefined ? [] : [{ agentId, kind, body: encodeBody(kind, policy) }]
  })

const encodeBody = (kind: PolicyKind, policy: unknown): Schema.Json =>
  Schema.encodeUnknownSync(Schema.toCodecJson(policyCodecs[kind]))(policy)

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const plainly = (message: string) => (message === "Expected no excess property" ? "is no known setting" : message)

const pathOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined) =>
  (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".")

/** V8 quotes the text around the fault, which may be long; its first line is enough. */
const reasonOf = (error: unknown) =>
  error instanceof Error ? error.message.split("\n", 1)[0]!.slice(0, 200) : "it cannot be parsed"
