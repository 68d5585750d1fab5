export { AgentKeyRefused, AgentKeyUnusable } from "../schema/AgentKeyError.ts"
export { PolicyNotRegistered, ScopeViolation } from "../schema/AgentScope.ts"
export { ChainIntegrityError, EventIdConflict, InvalidAuditEvent } from "../schema/AuditError.ts"
export { BundleRefused } from "../schema/BundleError.ts"
export { OtherChainKey, RotationRefused } from "../schema/ChainKeyVersion.ts"
export { CheckpointContradicted, CheckpointSinkError, OtherIdentity, RolledBack } from "../schema/CheckpointError.ts"
export { ConfigurationError } from "../schema/ConfigurationError.ts"
export { ContractViolation } from "../schema/Contract.ts"
export { BudgetExceeded } from "../schema/Cost.ts"
export { EgressFailed, EgressRefused } from "../schema/EgressError.ts"
export {
  ApprovalDenied,
  ApprovalPending,
  ApprovalTimeout,
  ApprovalTokenError,
  TokenVersionTooOldError
} from "../schema/Gate.ts"
export { GovernanceClosed } from "../schema/GovernanceClosed.ts"
export { isGovernanceError, isHaltError } from "../schema/GovernanceError.ts"
export { InvalidInput } from "../schema/InvalidInput.ts"
export { LoopDetected } from "../schema/Loop.ts"
export { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
export { NotRecorded } from "../schema/NotRecorded.ts"
export { AgentHaltedError, DelegationError, HaltPersistenceError } from "../schema/Presence.ts"
export { UnknownModelError } from "../schema/Pricing.ts"
export { PromptNotFound } from "../schema/Prompt.ts"
export { RetentionRefused } from "../schema/RetentionError.ts"
export { StoreError } from "../schema/StoreError.ts"
export { DeclaredMaximumExceeded, UngovernedCall } from "../schema/WrappedCallError.ts"
