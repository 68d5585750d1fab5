import { Context, Effect, Layer, Option } from "effect"
import {
  decide,
  matches,
  PolicyNotRegistered,
  type ScopePolicy,
  type ScopePolicyInput,
  type ScopeTarget,
  type ScopeViolation
} from "../schema/AgentScope.ts"
import type { ConfigurationError } from "../schema/ConfigurationError.ts"
import { Identifier } from "../schema/Identifier.ts"
import { AgentId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import type { AgentHaltedError } from "../schema/Presence.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { Halts } from "./Halts.ts"
import { Lineages } from "./Lineages.ts"
import { Policies } from "./Policies.ts"
import { standing } from "./Standing.ts"

/** What an agent may touch. Everything is denied that its policy, and that of each agent above it, does not list. */
export class AgentScope extends Context.Service<
  AgentScope,
  {
    readonly register: (
      policy: ScopePolicyInput & { readonly agentId: string }
    ) => Effect.Effect<void, ConfigurationError | ModuleDisabledError>
    /**
     * Answers from memory, so also while the store is down. Order: halt, missing arguments, no policy, not listed (SCP-04).
     * A violation is audited as `scope.violation`.
     */
    readonly check: (
      agentId: string,
      target: { readonly tool?: string; readonly api?: string; readonly sessionId?: string }
    ) => Effect.Effect<void, ScopeCheckError>
    /** The tools that the model may see: hidden ones are left out. Without a policy the list passes, unless `strict` (C-17). */
    readonly filterTools: <T extends string | { readonly name: string }>(
      agentId: string,
      tools: ReadonlyArray<T>,
      options?: { readonly strict?: boolean }
    ) => Effect.Effect<ReadonlyArray<T>, PolicyNotRegistered | InvalidInput | ModuleDisabledError>
    /** Runs the check before the effect (SCP-07). */
    readonly requireTool: (
      tool: string,
      agentId: string
    ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ScopeCheckError, R>
    /** Room 2 of a governed call: the same decision, from the path, without halt check or audit. */
    readonly room: (
      agentId: AgentId,
      path: ReadonlyArray<AgentId>,
      target: ScopeTarget
    ) => ScopeViolation | PolicyNotRegistered | undefined
  }
>()("effect-governance/services/AgentScope") {}

export type ScopeCheckError =
  | AgentHaltedError
  | InvalidInput
  | PolicyNotRegistered
  | ScopeViolation
  | StoreError
  | ModuleDisabledError

export const make = Effect.gen(function* () {
  const policies = yield* Policies
  const halts = yield* Halts
  const lineages = yield* Lineages
  const audit = yield* Audit
  const stand = standing(lineages, halts)

  const room = (agentId: AgentId, path: ReadonlyArray<AgentId>, target: ScopeTarget) => {
    const along: Array<readonly [AgentId, ScopePolicy]> = []
    for (const agent of path) {
      const found = policies.get(agent, "scope")
      if (found !== undefined) along.push([agent, found.policy])
      // Calls to models are checked only where a policy says something about them; everything else is denied without one (OQ-08).
      else if (target.kind !== "llm") return new PolicyNotRegistered({ agentId: agent })
    }
    return Option.getOrUndefined(decide(agentId, along, target))
  }

  const check = Effect.fn("AgentScope.check")(function* (
    id: string,
    asked: { readonly tool?: string; readonly api?: string; readonly sessionId?: string }
  ) {
    const agentId = yield* decodeArgument(AgentId, "agentId", id)
    const { path } = yield* stand(agentId, "scope.check")
    const targets = yield* targetsOf(asked)
    if (targets.length === 0) {
      return yield* new InvalidInput({ field: "tool", problem: "give a tool or an api to check" })
    }
    for (const target of targets) {
      const refusal = room(agentId, path, target)
      if (refusal === undefined) continue
      if (refusal._tag === "ScopeViolation") {
        yield* Effect.ignore(
          audit.log({
            kind: "scope.violation",
            agentId,
            sessionId: asked.sessionId,
            metadata: { target: { kind: refusal.kind, name: refusal.target }, policyOf: refusal.policyOf }
          })
        )
      }
      return yield* refusal
    }
  })

  return AgentScope.of({
    register: ({ agentId, ...policy }) => policies.register(agentId, "scope", policy),
    check,
    filterTools: Effect.fn("AgentScope.filterTools")(function* (id, tools, options = {}) {
      const agentId = yield* decodeArgument(AgentId, "agentId", id)
      const found = policies.get(agentId, "scope")
      if (found === undefined) {
        return options.strict === true ? yield* new PolicyNotRegistered({ agentId }) : tools
      }
      // What is hidden from an agent is hidden from those it delegates to.
      const hidden = lineages
        .known(agentId)
        .path.flatMap((agent) => policies.get(agent, "scope")?.policy.hiddenTools ?? [])
      return tools.filter((tool) => {
        const name = typeof tool === "string" ? tool : tool.name
        return !hidden.some((pattern) => matches(pattern, name))
      })
    }),
    requireTool: (tool, agentId) => (self) => Effect.andThen(check(agentId, { tool }), self),
    room
  })
})

export const layer = Layer.effect(AgentScope, make)

/** Every agent may touch everything. Warned once at start; direct calls fail (ENT-05). */
export const layerOff = Layer.effect(
  AgentScope,
  Effect.as(
    Effect.logWarning("scope.disabled", { effect: "tools and apis are not checked in this process" }),
    AgentScope.of({
      register: () => Effect.fail(off),
      check: () => Effect.fail(off),
      filterTools: () => Effect.fail(off),
      requireTool: () => (self) => Effect.andThen(Effect.fail(off), self),
      room: () => undefined
    })
  )
)

const off = new ModuleDisabledError({ module: "scope" })

const names = Identifier(512)

/** Decoded as in a governed call, so that both say the same of one name. */
const targetsOf = Effect.fnUntraced(function* (asked: { readonly tool?: string; readonly api?: string }) {
  const targets: Array<ScopeTarget> = []
  if (asked.tool !== undefined) targets.push({ kind: "tool", name: yield* decodeArgument(names, "tool", asked.tool) })
  if (asked.api !== undefined) targets.push({ kind: "api", name: yield* decodeArgument(names, "api", asked.api) })
  return targets
})
