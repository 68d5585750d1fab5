import { formatAmount, remainingOf } from "../../schema/Cost.ts"
import { formatUsd, NanoUsd } from "../../schema/Money.ts"
import type { Refusal } from "../../services/Governor.ts"

/** Why a call did not run, for someone who has never seen this before. Programs get the typed error itself. */
export const inPlainWords = (refusal: Refusal): string => {
  switch (refusal._tag) {
    case "ScopeViolation":
      return refusal.policyOf === refusal.agentId
        ? `${refusal.target} is not on the list of what ${refusal.agentId} may use.`
        : `${refusal.policyOf} may not use ${refusal.target}, so nobody who works for it may.`
    case "BudgetExceeded": {
      const whose = refusal.policyOf === refusal.agentId ? "this conversation" : `${refusal.policyOf}, who pays for it,`
      const [asked, left, limit] = [refusal.requested, remainingOf(refusal), refusal.limit].map((amount) =>
        refusal.cap.includes("Usd") ? dollars(NanoUsd.make(amount)) : formatAmount(refusal.cap, amount)
      )
      return `It takes ${asked}, but ${whose} has ${left} of ${limit} left. Nothing was paid.`
    }
    case "LoopDetected":
      return `The same call with the same answer, ${refusal.count} times in a row: ${refusal.limit} are allowed.`
    case "ApprovalPending":
      return "A person has to approve this first. Until then it does not run."
    case "ApprovalTimeout":
      return "Nobody approved it in time."
    case "ApprovalDenied":
      return refusal.problem === "denied" ? "A person said no." : `Not approved: ${refusal.message}.`
    case "AgentHaltedError":
      return `Stopped by ${refusal.haltedBy}: ${refusal.reason}`
    case "ContractViolation":
    case "PolicyNotRegistered":
    case "UnknownModelError":
    case "InvalidInput":
    case "AgentKeyUnusable":
    case "StoreError":
      return refusal.message
  }
}

/** Whole cents, or hundredths of a cent for less than ten cents; rounded down, so that nothing is left that is not there. */
export const dollars = (amount: NanoUsd): string => {
  const unit = amount === 0n || amount >= 100_000_000n ? 10_000_000n : 100_000n
  return formatUsd(NanoUsd.make(amount - (amount % unit)))
}
