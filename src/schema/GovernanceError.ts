import type { AgentKeyRefused, AgentKeyUnusable } from "./AgentKeyError.ts"
import type { PolicyNotRegistered, ScopeViolation } from "./AgentScope.ts"
import type { ChainIntegrityError, EventIdConflict, InvalidAuditEvent } from "./AuditError.ts"
import type { BundleRefused } from "./BundleError.ts"
import type { OtherChainKey, RotationRefused } from "./ChainKeyVersion.ts"
import type { CheckpointContradicted, CheckpointSinkError, OtherIdentity, RolledBack } from "./CheckpointError.ts"
import type { ConfigurationError } from "./ConfigurationError.ts"
import type { ContractViolation } from "./Contract.ts"
import type { BudgetExceeded } from "./Cost.ts"
import type { EgressFailed, EgressRefused } from "./EgressError.ts"
import type { ApprovalRequired, ApprovalTokenError, TokenVersionTooOldError } from "./Gate.ts"
import type { GovernanceClosed } from "./GovernanceClosed.ts"
import type { InvalidInput } from "./InvalidInput.ts"
import type { LoopDetected } from "./Loop.ts"
import type { ModuleDisabledError } from "./ModuleDisabled.ts"
import type { NotRecorded } from "./NotRecorded.ts"
import type { DelegationError, HaltPersistenceError } from "./Presence.ts"
import type { UnknownModelError } from "./Pricing.ts"
import type { PromptNotFound } from "./Prompt.ts"
import type { RetentionRefused } from "./RetentionError.ts"
import type { StoreError } from "./StoreError.ts"
import type { DeclaredMaximumExceeded, UngovernedCall } from "./WrappedCallError.ts"

/**
 * Every error of this library but one: `AgentHaltedError` stands outside, so that a handler for refusals cannot swallow a
 * halt (ERR-01, ERR-13). Each has a message and a `recoveryHint` that says what to do next.
 */
export type GovernanceError =
  | ScopeViolation
  | ContractViolation
  | PolicyNotRegistered
  | BudgetExceeded
  | UnknownModelError
  | LoopDetected
  | ApprovalRequired
  | ApprovalTokenError
  | TokenVersionTooOldError
  | BundleRefused
  | InvalidInput
  | InvalidAuditEvent
  | EventIdConflict
  | ChainIntegrityError
  | HaltPersistenceError
  | DelegationError
  | RolledBack
  | OtherChainKey
  | CheckpointContradicted
  | CheckpointSinkError
  | ModuleDisabledError
  | ConfigurationError
  | AgentKeyRefused
  | AgentKeyUnusable
  | EgressRefused
  | EgressFailed
  | GovernanceClosed
  | PromptNotFound
  | NotRecorded
  | OtherIdentity
  | RotationRefused
  | RetentionRefused
  | UngovernedCall
  | DeclaredMaximumExceeded
  | StoreError

const tags: ReadonlySet<string> = new Set<GovernanceError["_tag"]>([
  "ScopeViolation",
  "ContractViolation",
  "PolicyNotRegistered",
  "BudgetExceeded",
  "UnknownModelError",
  "LoopDetected",
  "ApprovalPending",
  "ApprovalTimeout",
  "ApprovalDenied",
  "ApprovalTokenError",
  "TokenVersionTooOldError",
  "BundleRefused",
  "InvalidInput",
  "InvalidAuditEvent",
  "EventIdConflict",
  "ChainIntegrityError",
  "HaltPersistenceError",
  "DelegationError",
  "RolledBack",
  "OtherChainKey",
  "CheckpointContradicted",
  "CheckpointSinkError",
  "ModuleDisabledError",
  "ConfigurationError",
  "AgentKeyRefused",
  "AgentKeyUnusable",
  "EgressRefused",
  "EgressFailed",
  "GovernanceClosed",
  "PromptNotFound",
  "NotRecorded",
  "OtherIdentity",
  "RotationRefused",
  "RetentionRefused",
  "UngovernedCall",
  "DeclaredMaximumExceeded",
  "StoreError"
])

/** Finds a governance error in a value or along its `cause`s: foreign frameworks wrap what they catch, some of them as `error`. */
export const isGovernanceError = (value: unknown): boolean => holds(value, tags)

/** The same for a halt, which is no governance error. */
export const isHaltError = (value: unknown): boolean => holds(value, halted)

const halted: ReadonlySet<string> = new Set(["AgentHaltedError"])

const holds = (value: unknown, among: ReadonlySet<string>): boolean => {
  let current = value
  for (let depth = 0; depth < 16 && typeof current === "object" && current !== null; depth++) {
    if ("_tag" in current && typeof current._tag === "string" && among.has(current._tag)) return true
    const { cause, error }: { readonly cause?: unknown; readonly error?: unknown } = current
    current = cause ?? error
  }
  return false
}
