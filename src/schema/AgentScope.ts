import { Effect, Option, Schema } from "effect"
import { AgentId } from "./Ids.ts"

/** An exact name, or a prefix that ends in `*`. Case-sensitive; no glob, no regular expression (SCP-05). */
export const NamePattern = Schema.NonEmptyString.check(Schema.isMaxLength(512))

const Names = Schema.Array(NamePattern).check(Schema.isMaxLength(1000))
const noNames = Schema.withDecodingDefaultKey<typeof Names>(Effect.succeed([]))

/** What an agent may do. Default deny: what is not listed is refused (SCP-01, SCP-03). */
export const ScopePolicy = Schema.Struct({
  allowedTools: Names.pipe(noNames),
  allowedApis: Names.pipe(noNames),
  /** Tools that the model never gets to see (SCP-06). */
  hiddenTools: Names.pipe(noNames),
  /** Absent means any model. A hard ceiling for routing too. */
  allowedModels: Schema.optionalKey(Names),
  /** False makes calls to language models need an entry in `allowedTools`, as any tool does (OQ-08). */
  allowLlmCalls: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(true)))
})
export type ScopePolicy = typeof ScopePolicy.Type
export type ScopePolicyInput = typeof ScopePolicy.Encoded

/** What a call wants to touch. `llm` is the sentinel name of a language model call, `llm.openai.chat` for one (SCP-08). */
export type ScopeTarget =
  | { readonly kind: "tool"; readonly name: string }
  | { readonly kind: "api"; readonly name: string }
  | { readonly kind: "llm"; readonly name: string; readonly model: string }

export const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name

const listed = (patterns: ReadonlyArray<string>, name: string) => patterns.some((pattern) => matches(pattern, name))

/** True when the policy of one agent lets its calls, and suggestions, use the model. */
export const allowsModel = (policy: ScopePolicy, model: string): boolean =>
  policy.allowedModels === undefined || listed(policy.allowedModels, model)

/** True when the policy of one agent lets the target through. A path of delegation needs every agent of it to say so (BEY-09). */
export const allows = (policy: ScopePolicy, target: ScopeTarget): boolean => {
  switch (target.kind) {
    case "tool":
      return listed(policy.allowedTools, target.name)
    case "api":
      return listed(policy.allowedApis, target.name)
    case "llm":
      return (policy.allowLlmCalls || listed(policy.allowedTools, target.name)) && allowsModel(policy, target.model)
  }
}

/** The names that a refusal lists for its kind of target. */
export const allowedNames = (policy: ScopePolicy, kind: ScopeTarget["kind"]): ReadonlyArray<string> =>
  kind === "api"
    ? policy.allowedApis
    : kind === "llm"
      ? (policy.allowedModels ?? policy.allowedTools)
      : policy.allowedTools

/** The agent asked for something its policy does not list (ERR-02). */
export class ScopeViolation extends Schema.TaggedError<ScopeViolation>()(
  "ScopeViolation",
  {
    agentId: AgentId,
    kind: Schema.Literals(["tool", "api", "llm"]),
    /** Not `name`, which is the error's own. */
    target: Schema.String,
    allowed: Schema.Array(Schema.String),
    /** The agent whose policy refused: the caller's own, or one that delegated to it. */
    policyOf: AgentId
  },
  { httpApiStatus: 403 }
) {
  override get message() {
    const allowed = this.allowed.length === 0 ? "nothing" : this.allowed.slice(0, 20).join(", ")
    return `Agent ${this.agentId} may not use ${this.kind} ${this.target}; the policy of ${this.policyOf} allows ${allowed}`
  }
  get recoveryHint() {
    return `Add "${this.target}" to the scope policy of ${this.policyOf}, or do not offer it to the agent (Scope filterTools).`
  }
}

/** No scope policy is registered for the agent: everything is denied (ERR-03). */
export class PolicyNotRegistered extends Schema.TaggedError<PolicyNotRegistered>()(
  "PolicyNotRegistered",
  { agentId: AgentId },
  { httpApiStatus: 403 }
) {
  override get message() {
    return `Agent ${this.agentId} has no scope policy, so nothing is allowed`
  }
  get recoveryHint() {
    return "Register one with AgentScope.register, or apply a policy file with `governance policy apply`."
  }
}

export type ScopeDecision = Option.Option<ScopeViolation>

/** Decides for a whole path of delegation, root first: the first agent that does not allow the target is named. */
export const decide = (
  agentId: AgentId,
  path: ReadonlyArray<readonly [AgentId, ScopePolicy]>,
  target: ScopeTarget
): ScopeDecision => {
  const refusing = path.find(([, policy]) => !allows(policy, target))
  return refusing === undefined
    ? Option.none()
    : Option.some(
        new ScopeViolation({
          agentId,
          kind: target.kind,
          target: target.kind === "llm" ? `${target.name} (${target.model})` : target.name,
          allowed: allowedNames(refusing[1], target.kind),
          policyOf: refusing[0]
        })
      )
}
