import { DateTime, Schema } from "effect"
import type { Admission, Settled, Verdict } from "../../schema/Call.ts"
import { BudgetCap } from "../../schema/Cost.ts"
import { AgentId, OperatorId } from "../../schema/Ids.ts"
import type { LoopStep } from "../../schema/Loop.ts"
import { NanoUsd } from "../../schema/Money.ts"
import { grouped } from "./AdmissionStatements.ts"

/** What the store answers for one call: a verdict, or that the call does not belong where it says. */
export type Answer = Verdict | { readonly _tag: "Foreign" }

export const answerOf = (row: ReadonlyArray<unknown> | undefined): Answer => {
  const [verdict, day, usd, tokens, detail, signatures, results] = row ?? []
  const hashes = list(results)
  const steps = list(signatures).map((signature, index) => stepOf(signature, hashes[index]))
  return verdictOf(String(verdict).replace("=", ""), day, usd, tokens, detail ?? null, steps)
}

/** The answers of one `governance_admit`, with each session's calls of this very batch added to the last ones it returns. */
export const answersOf = (
  requests: ReadonlyArray<Admission>,
  row: ReadonlyArray<unknown> | undefined
): ReadonlyArray<Answer> => {
  const [verdicts, days, usd, tokens, details, of, signatures, results] = (row ?? []).map(list)
  const recent = new Map<number, Array<LoopStep>>()
  of?.forEach((key, index) => {
    const steps = recent.get(Number(key)) ?? []
    steps.push(stepOf(signatures?.[index], results?.[index]))
    recent.set(Number(key), steps)
  })
  const { pairOf } = grouped(requests)
  return requests.map((request, index): Answer => {
    const verdict = String(verdicts?.[index])
    const known = verdict.startsWith("=")
    const pair = pairOf[index]!
    const steps = recent.get(known ? -(index + 1) : pair) ?? []
    const answer = verdictOf(
      known ? verdict.slice(1) : verdict,
      days?.[index],
      usd?.[index],
      tokens?.[index],
      details?.[index] ?? null,
      steps
    )
    if (answer._tag === "Admitted" && !known && request.tool !== null) {
      recent.set(pair, [...steps.slice(1 - recentCalls), { signature: request.signature, resultHash: null }])
    }
    return answer
  })
}

export const settledOneOf = ([outcome, usd, tokens]: ReadonlyArray<unknown> = []): Settled => ({
  usd: NanoUsd.make(amount(usd)),
  tokens: amount(tokens),
  outcome: outcome === "settled" || outcome === "late" || outcome === "already" ? outcome : "unknown"
})

export const settledOf = (row: ReadonlyArray<unknown> | undefined): ReadonlyArray<Settled> => {
  const [outcomes, usd, tokens] = (row ?? []).map(list)
  return (outcomes ?? []).map((outcome, index) => settledOneOf([outcome, usd?.[index], tokens?.[index]]))
}

const recentCalls = 32

const stepOf = (signature: unknown, result: unknown): LoopStep => ({
  signature: String(signature),
  resultHash: typeof result === "string" ? result : null
})

const verdictOf = (
  tag: string,
  day: unknown,
  usd: unknown,
  tokens: unknown,
  detail: unknown,
  steps: ReadonlyArray<LoopStep>
): Answer => {
  switch (tag) {
    case "Admitted":
      return {
        _tag: "Admitted",
        heldUsd: NanoUsd.make(amount(usd)),
        heldTokens: amount(tokens),
        day: String(day),
        recent: steps,
        loop: detail === null ? null : decodeLoop(detail)
      }
    case "Unapproved":
      return { _tag: "Unapproved" }
    case "Halted":
      return { _tag: "Halted", halt: decodeHalt(detail) }
    case "Looping":
      return { _tag: "Looping", loop: decodeLoop(detail) }
    case "Short": {
      const { requested, ...short } = decodeShort(detail)
      return { _tag: "Short", short, requested }
    }
    default:
      return { _tag: "Foreign" }
  }
}

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])
const amount = (value: unknown): bigint => (typeof value === "bigint" ? value : 0n)

const decodeLoop = Schema.decodeUnknownSync(
  Schema.Struct({ count: Schema.Int, maxCalls: Schema.Int, windowSeconds: Schema.Int })
)

const BigIntText = Schema.BigIntFromString
const decodeShort = Schema.decodeUnknownSync(
  Schema.Struct({ cap: BudgetCap, policyOf: AgentId, limit: BigIntText, used: BigIntText, requested: BigIntText })
)

const StoredHalt = Schema.Struct({ agentId: AgentId, by: OperatorId, at: Schema.String, reason: Schema.String })
const decodeStoredHalt = Schema.decodeUnknownSync(StoredHalt)

/** A halt as `governance_trees.halts` holds it, with the agent it stands on. */
export const decodeHalt = (value: unknown) => {
  const { agentId, at, by, reason } = decodeStoredHalt(value)
  return { agentId, haltedBy: by, haltedAt: DateTime.toUtc(DateTime.makeUnsafe(at)), reason }
}
