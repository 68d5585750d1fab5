import { Cause, Exit } from "effect"

/** What the process tells its caller (L-06, DEC-20). Documented, never renumbered. */
export const exitCodes = {
  ok: 0,
  /** Tampered (rows changed, cut or deleted, as the chains or their checkpoints show), refused, or a doctor that found something to repair. */
  negative: 1,
  usage: 2,
  /** The database went back behind its checkpoints or beside them, or it is another one than we knew. */
  rollback: 3,
  /** Nothing speaks against the data, and something that would prove them is missing. */
  unverifiable: 4,
  unreachable: 5,
  interrupted: 130
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

const { negative, rollback, unreachable, unverifiable, usage } = exitCodes

/** By the error's `_tag`; where its `problem` makes a difference, by `_tag.problem`. What is not listed is a defect: 1. */
const codes: Readonly<Record<string, ExitCode>> = {
  AgentHaltedError: negative,
  AgentKeyRefused: negative,
  ApprovalDenied: negative,
  ApprovalPending: negative,
  ApprovalTimeout: negative,
  ApprovalTokenError: negative,
  BudgetExceeded: negative,
  BundleRefused: negative,
  BundleRejected: negative,
  "BundleRejected.otherIdentity": rollback,
  "BundleRejected.unverifiable": unverifiable,
  ChainIntegrityError: negative,
  ContractViolation: negative,
  CheckpointContradicted: negative,
  DelegationError: negative,
  DemoFailed: negative,
  DoctorFindings: negative,
  "DoctorFindings.configuration": usage,
  "DoctorFindings.unreachable": unreachable,
  EventIdConflict: negative,
  GovernanceClosed: negative,
  LoopDetected: negative,
  NotRecorded: negative,
  NothingToDo: negative,
  PolicyNotRegistered: negative,
  PromptNotFound: negative,
  RotationRefused: negative,
  RetentionRefused: negative,
  UngovernedCall: negative,
  DeclaredMaximumExceeded: negative,
  "RetentionRefused.notOwner": usage,
  ScopeViolation: negative,
  Tampered: negative,
  SmokeTestFailed: negative,
  "SmokeTestFailed.unreachable": unreachable,
  TokenVersionTooOldError: negative,
  WouldHaveStopped: negative,

  AgentKeyUnusable: usage,
  ConfigError: usage,
  ConfigurationError: usage,
  EgressRefused: usage,
  InvalidAuditEvent: usage,
  InvalidInput: usage,
  InvalidJson: usage,
  InvalidNote: usage,
  ModuleDisabledError: usage,
  PlatformError: usage,
  PolicyFileInvalid: usage,
  ShowHelp: usage,
  UnknownModelError: usage,
  UsageError: usage,
  WeakSecret: usage,

  OtherChainKey: rollback,
  OtherIdentity: rollback,
  RolledBack: rollback,

  Unverifiable: unverifiable,

  EgressFailed: unreachable,
  CheckpointSinkError: unreachable,
  "CheckpointSinkError.foreign": usage,
  "CheckpointSinkError.refused": rollback,
  "CheckpointSinkError.unauthorized": usage,
  "CheckpointSinkError.unusable": usage,
  EmbeddedPostgresError: unreachable,
  "EmbeddedPostgresError.directory": usage,
  "EmbeddedPostgresError.foreign": usage,
  "EmbeddedPostgresError.version": usage,
  HaltPersistenceError: unreachable,
  MailFailed: unreachable,
  MigrationError: negative,
  "MigrationError.busy": unreachable,
  "MigrationError.changed-file": usage,
  "MigrationError.foreign-tables": usage,
  "MigrationError.invalid-name": usage,
  "MigrationError.newer-schema": usage,
  "MigrationError.out-of-order": usage,
  "MigrationError.unreachable": unreachable,
  "MigrationError.unusable-role": usage,
  SqlError: unreachable,
  StoreError: unreachable,
  "StoreError.integrity": negative,
  "StoreError.refused": usage
}

/** The code of one error. */
export const exitCodeOf = (error: unknown): ExitCode => {
  const tag = textField(error, "_tag")
  if (tag === undefined) return negative
  return codes[`${tag}.${textField(error, "problem") ?? ""}`] ?? codes[tag] ?? negative
}

/** The code of a whole run: an interrupted one is never 0. */
export const exitCodeOfExit = (exit: Exit.Exit<unknown, unknown>): ExitCode => {
  if (Exit.isSuccess(exit)) return exitCodes.ok
  if (Cause.hasInterruptsOnly(exit.cause)) return exitCodes.interrupted
  return exitCodeOf(Cause.squash(exit.cause))
}

const textField = (value: unknown, field: "_tag" | "problem"): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const found: unknown = Reflect.get(value, field)
  return typeof found === "string" ? found : undefined
}
