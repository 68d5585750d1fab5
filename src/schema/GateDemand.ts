import { matches, type ScopeTarget } from "./AgentScope.ts"
import type { OperatorId } from "./Ids.ts"
import type { GatePolicy } from "./Policy.ts"
import { isRemote, personOf } from "./RemotePerson.ts"
import { isSamePerson } from "./SamePerson.ts"

/** What must come together before an action may run. */
export interface GateDemand {
  readonly quorum: number
  /** Whoever decides MUST stand in each of these lists (V8-06). */
  readonly reviewers: ReadonlyArray<ReadonlyArray<string>>
  readonly expiresAfterSeconds: number
  /** `local`: what an inbox elsewhere has decided counts for nothing (DEC-19, T-16). */
  readonly approvals: "local" | "platform"
}

/** OQ-22. */
export const defaultExpirySeconds = 600

/**
 * What the gate policies of an agent and those above it ask for together: the strictest of each. Policies that name the
 * action count; where none does (a request of a program's own), all of them do.
 */
export const demandOf = (policies: ReadonlyArray<GatePolicy>, kind: string): GateDemand => {
  const named = policies.filter((policy) => asksFor(policy, kind))
  const counted = named.length > 0 ? named : policies
  return {
    quorum: Math.max(1, ...counted.map(({ quorum }) => quorum ?? 1)),
    reviewers: counted.flatMap(({ reviewers }) => (reviewers === undefined ? [] : [reviewers])),
    expiresAfterSeconds:
      counted.length === 0
        ? defaultExpirySeconds
        : Math.min(...counted.map(({ expiresAfter }) => expiresAfter ?? defaultExpirySeconds)),
    approvals: counted.some(({ approvals }) => approvals === "local") ? "local" : "platform"
  }
}

const asksFor = (policy: GatePolicy, kind: string): boolean =>
  policy.requireApproval.some((pattern) => matches(pattern, kind))

/** Whether a policy puts a person before this call. A bare `*` is every tool; models and APIs are only meant by what names them. */
export const marks = (policy: GatePolicy, { kind, name }: Pick<ScopeTarget, "kind" | "name">): boolean =>
  policy.requireApproval.some((pattern) => (kind === "tool" || pattern !== "*") && matches(pattern, name))

/** By exact id: here a look-alike must not get in. */
export const isReviewer = (demand: GateDemand, person: OperatorId): boolean =>
  (demand.approvals === "platform" || !isRemote(person)) &&
  demand.reviewers.every((list) => list.includes(personOf(person)))

/**
 * The distinct people among them who may decide now: one person counts once, whoever was taken off the list not at all (T-17).
 * Of those whom a platform names one counts, since it could name as many as it likes (T-16).
 */
export const eligible = (demand: GateDemand, people: ReadonlyArray<OperatorId>): ReadonlyArray<OperatorId> => {
  const counted: Array<OperatorId> = []
  for (const person of people) {
    const known = counted.some((other) => isSamePerson(personOf(other), personOf(person)))
    if (isReviewer(demand, person) && !known && !(isRemote(person) && counted.some(isRemote))) counted.push(person)
  }
  return counted
}
